# Answer what store paths consist of, and what the manifest on this host says.
# It changes nothing.
#
# In: MANIFEST; store paths, one a line.
# Out: missing= of paths that are not valid; path= (references first), bytes=,
# manifest= its lines.
set -eu
paths=$(cat)
missing=$(printf '%s\n' "$paths" | xargs nix-store --check-validity --print-invalid)
if [ -n "$missing" ]; then
    printf '%s\n' "$missing" | sed 's/^/missing=/'
    exit 0
fi
closure=$(printf '%s\n' "$paths" | xargs nix-store --query --requisites)
printf '%s\n' "$closure" | sed 's/^/path=/'
printf '%s\n' "$closure" | xargs nix-store --query --size | awk '{ sum += $1 } END { printf "bytes=%.0f\n", sum }'
# As data: whoever could write there must not be able to run anything here.
[ ! -f "$MANIFEST" ] || head -c 65536 "$MANIFEST" | sed 's/^/manifest=/'
