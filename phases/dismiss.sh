# Take the key of a copy away again.
#
# In: APP ID; LOGIN, KEY (its type and base64).
set -eu
case $LOGIN in '' | -* | *[!A-Za-z0-9._-]*) say "LOGIN is no user" && exit 1 ;; esac
find_keys && lock_keys
forget "$(printf '%s' "$KEY" | sed 's|[/.]|\\&|g')$ours"
