# Make a target ready to receive a release, and answer what it lacks.
#
# In: APP ID STORE; rows "root <name> <store path>" and "path <store path>",
# separated by tabs. Out: missing=, free= (KiB in the store), accept= (the
# compressions that can be undone here, best first).
set -eu
umask 077
tab=$(printf '\t')
release=/var/lib/rel/$APP/releases/$ID
roots=/nix/var/nix/gcroots/rel/$APP/$ID
mkdir -p "$release"
# The collector reads the roots as whoever it runs as.
(umask 022 && mkdir -p "$roots")
paths=$(
    while IFS=$tab read -r kind one two; do
        case $kind in
        root) ln -sfn "$two" "$roots/$one" ;;
        path) printf '%s\n' "$one" ;;
        esac
    done
)
# Not piped on: a nix-store that fails must not pass for one that misses nothing.
missing=$(printf '%s\n' "$paths" | xargs nix-store --check-validity --print-invalid)
[ -z "$missing" ] || printf '%s\n' "$missing" | sed 's/^/missing=/'
df -Pk "$STORE" 2>/dev/null | awk 'NR == 2 { print "free=" $4 }'
accept=
for filter in zstd gzip; do
    ! command -v "$filter" >/dev/null 2>&1 || accept="$accept $filter"
done
echo "accept=$accept"
