# Take closures from a binary cache.
#
# In: APP ID EPOCH; CACHE (its URL); the store paths that they are of, one a line.
set -eu
fence
exec 8>&- # it may take long
status=$({ { xargs nix-store --realise --log-format internal-json --option substituters "$CACHE" --option builders '' --option max-jobs 0 2>&1 >/dev/null ||
    echo "$?" >&3; } | sparse >&2; } 3>&1)
[ -z "$status" ] || {
    say "not all of it is in $CACHE, signed with one of this host's trusted-public-keys"
    exit 1
}
