# Build all artifacts from the checkout, pin them, check their binaries, write the
# manifest, and tell what their closures consist of.
#
# In: APP ID REPO COMMIT KEEP (how many promotions stay pinned here), MANIFEST (where it is
# written); rows separated by tabs: "artifact <name> <flake> <binary> <key in the
# manifest>", "line <one of the manifest's>".
# Out: moved=<head> if the checkout is not what was verified; or built=<name><tab><what
# nix build --json says>, missing=<name> of artifacts without their binary, path=
# (references first), infos=<what nix-store --serve says of them, with gzip and base64>.
set -eu
tab=$(printf '\t')

for tool in gzip base64; do
    command -v "$tool" >/dev/null || { echo "there is no $tool here" >&2 && exit 1; }
done
cd "$REPO"
stops() { echo "$1" >&2 && exit 1; }
head=$(git rev-parse HEAD) || stops "git cannot read the checkout $REPO"
if [ "$head" != "$COMMIT" ] || [ -n "$(git status --porcelain --untracked-files=normal)" ]; then
    echo "moved=$head"
    exit 0
fi
rows=$(cat)
artifacts=$(printf '%s\n' "$rows" | sed -n "s/^artifact$tab//p")
text=$(printf '%s\n' "$rows" | sed -n "s/^line$tab//p")
set --
while IFS=$tab read -r _ flake _; do set -- "$@" "$flake"; done <<EOT
$artifacts
EOT
# rel reads what it says, and makes of it what --print-build-logs has. Of what that does not
# heed, most is what Nix expects (106), and progress of nothing: it stays here.
# Where sed has no -u, as busybox's, it comes in lumps.
line=-u
sed -u p </dev/null 2>/dev/null || line=
# shellcheck disable=SC2086 # it may be none
status=$({ { nix build --no-link --log-format internal-json "$@" 2>&1 </dev/null || echo "$?" >&3; } |
    sed $line -e '/^@nix.*"type":106}$/d' -e '/^@nix.*"fields":\[0,0,0,0\].*"type":105}$/d' >&2; } 3>&1)
[ -z "$status" ] || exit "$status"

# Not where a target has its own: a build host may be one.
roots=/nix/var/nix/gcroots/rel-build/$APP/$ID
# A login that may not write there still builds; only the collector can then
# come between build and copy, and resume notices that.
mkdir -p "$roots" 2>/dev/null || roots=
# What is older than the newest few is let go.
[ -z "$roots" ] || {
    touch "$roots"
    # shellcheck disable=SC2012 # they are named by promotions, and not every find has -printf
    ls -1dt "${roots%/*}"/*/ | sed "1,${KEEP}d" | xargs rm -rf
}
set --
# Asked one by one: with several installables Nix answers in an order of its
# own, sorted by derivation. Everything is built and evaluated by now.
whole=yes
while IFS=$tab read -r name flake binary key; do
    said=$(nix build --no-link --json "$flake" </dev/null) || stops "nix does not say what it built for artifact $name"
    printf 'built=%s\t%s\n' "$name" "$said"
    output "$said"
    if [ ! -f "$path/$binary" ] || [ ! -x "$path/$binary" ]; then echo "missing=$name" && whole=; fi
    text=$(printf '%s\n%s_PATH=%s\n%s_BIN=%s\n' "$text" "$key" "$path" "$key" "$path/$binary")
    [ -z "$roots" ] || ln -sfn "$path" "$roots/$name"
    set -- "$@" "$path"
done <<EOT
$artifacts
EOT
[ -n "$whole" ] || exit 0
# It appears whole, as all that others read.
written=$(mktemp "$MANIFEST.XXXXXX") || stops "the manifest $MANIFEST cannot be written"
trap 'rm -f "$written"' EXIT
printf '%s\n' "$text" >"$written"
chmod 0644 "$written"
mv -f "$written" "$MANIFEST" || stops "the manifest $MANIFEST cannot be written"
closure=$(nix-store --query --requisites "$@") || stops "nix-store does not say what the closures consist of"
printf '%s\n' "$closure" | sed 's/^/path=/'
printf '%s\n' "$closure" | infos
