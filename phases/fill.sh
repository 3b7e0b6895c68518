# Put closures into a binary cache.
#
# In: CACHE (its URL); the store paths that they are of, one a line.
set -eu
case $CACHE in
*compression=*) ;;
*\?*) CACHE="$CACHE&compression=zstd" ;;
*) CACHE="$CACHE?compression=zstd" ;;
esac
status=$({ { xargs nix --extra-experimental-features nix-command copy --log-format internal-json --to "$CACHE" 2>&1 || echo "$?" >&3; } |
    sparse >&2; } 3>&1)
[ -z "$status" ] || exit "$status"
