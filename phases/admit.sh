# Let a key in for one copy. It can bring store paths, and nothing else: whatever is
# asked for with it, import.sh is what runs.
#
# In: APP ID EPOCH; LOGIN, KEY (its type and base64), FROM (where it may come from;
# nothing, if that is not known), LIFE (for how many seconds it may log in), BECOME (how
# LOGIN becomes root); import.sh, and the last line.
# Out: elsewhere=<why it cannot be let in here>.
set -eu
fence
case $LOGIN in '' | -* | *[!A-Za-z0-9._-]*) say "LOGIN is no user" && exit 1 ;; esac
find_keys || {
    echo "elsewhere=its sshd reads the keys of $LOGIN where they cannot be changed ($(candidates | tr '\n' ' '))"
    exit 0
}
# sshd's PATH may not lead to Nix; the one here does.
{ printf 'PATH="%s"\nexport PATH\n' "$PATH" && cat; } >"$dir/import.new"
whole "$dir/import.new"
sync "$dir/import.new"
mv -f "$dir/import.new" "$dir/import.sh"
[ "$(id -u "$LOGIN")" -ne 0 ] || BECOME=
folder=$(dirname "$keys")
[ -d "$folder" ] || { mkdir -m 0700 "$folder" && chown "$LOGIN" "$folder"; }
lock_keys
forget "$ours"
mark=
[ -e "$keys" ] || mark=" new"
# sshd reads it in its own time zone.
unset TZ
until=$(date -d "@$(($(date +%s) + LIFE))" +%Y%m%d%H%M%S)
{
    printf 'restrict,expiry-time="%s",%s' "$until" "${FROM:+from=\"$FROM\",}"
    printf 'command="exec %s/bin/sh %s/import.sh" %s%s%s%s\n' "${BECOME:+$BECOME }" "$dir" "$KEY" "$ours" "$ID" "$mark"
    [ ! -e "$keys" ] || cat "$keys"
} | replace_keys
