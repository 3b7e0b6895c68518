# Take the key of a copy away again, and end what it runs.
#
# In: APP ID; KEY (its type and base64).
set -eu
# If it is yet to be let in, since a connection was lost, it is not any more.
put "$dir/dismissed" "$KEY"
for shell in $(pgrep -f "^/bin/sh $dir/unpack.sh" || true); do
    pkill -KILL -P "$shell" || true
    kill -KILL "$shell" 2>/dev/null || true
done
rm -f "$dir/unpack.sh" "$dir/unpack.used"
withdraw "$dir" "$(printf '%s' "$KEY" | sed 's|[/.]|\\&|g')$ours"
