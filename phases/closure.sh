# Pin the built artifacts, check their binaries and list their closures.
#
# In: APP ID KEEP (how many promotions stay pinned here); rows "<name><tab><store path><tab><binary>". Out: missing=<name>
# of artifacts without their binary, path= (references first), bytes=.
set -eu
tab=$(printf '\t')
# Not where a target has its own: a build host may be one.
roots=/nix/var/nix/gcroots/rel-build/$APP/$ID
# A login that may not write there still builds; only the collector can then
# come between build and copy, and resume notices that.
mkdir -p "$roots" 2>/dev/null || roots=
# What is older than the newest few is let go.
[ -z "$roots" ] || {
    touch "$roots"
    find "$(dirname "$roots")" -mindepth 1 -maxdepth 1 -type d -printf '%T@ %p\n' | sort -rn | sed "1,${KEEP}d" | cut -d' ' -f2 | xargs rm -rf
}
set --
while IFS=$tab read -r name path binary; do
    if [ ! -f "$path/$binary" ] || [ ! -x "$path/$binary" ]; then echo "missing=$name"; fi
    [ -z "$roots" ] || ln -sfn "$path" "$roots/$name"
    set -- "$@" "$path"
done
closure=$(nix-store --query --requisites "$@")
printf '%s\n' "$closure" | sed 's/^/path=/'
printf '%s\n' "$closure" | xargs nix-store --query --size | awk '{ sum += $1 } END { printf "bytes=%.0f\n", sum }'
