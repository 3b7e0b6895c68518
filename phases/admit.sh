# Let a key in for one copy. It can bring store paths, and nothing else: whatever is
# asked for with it, unpack.sh is what runs.
#
# In: APP ID EPOCH; LOGIN, KEY (its type and base64), FROM (where it may come from;
# nothing, if that is not known), PORT (of sshd), LIFE (for how many seconds it may log
# in), BECOME (how LOGIN becomes root; nothing, if that is not known), WANTS (what the
# script is told, as assignments); the script, and the last line.
# Out: elsewhere=<why it cannot be let in here>.
set -eu
fence
case $LOGIN in '' | -* | *[!A-Za-z0-9._-]*) say "LOGIN is no user" && exit 1 ;; esac
elsewhere() {
    printf 'elsewhere=%s\n' "$1"
    exit 0
}
find_keys || elsewhere "its sshd reads the keys of $LOGIN where they cannot be changed ($(candidates | tr '\n' ' '))"
if [ "$(id -u "$LOGIN")" -eq 0 ]; then
    BECOME=
elif [ -z "$BECOME" ]; then
    elsewhere "$LOGIN is not root there"
fi
# sshd's PATH may not lead to Nix; the one here does.
{ printf 'PATH="%s"\nexport PATH\nAPP=%s\nID=%s\nLOGIN=%s\n%s\n' "$PATH" "$APP" "$ID" "$LOGIN" "$WANTS" && cat; } >"$dir/unpack.new"
whole "$dir/unpack.new"
sync "$dir/unpack.new"
mv -f "$dir/unpack.new" "$dir/unpack.sh"

# ending: when the key ends. sshd takes a time of its own zone, and gets it wrong by the
# hour of summer time; in UTC since OpenSSH 9.1.
ending() {
    unset TZ
    end=$(($(date +%s) + LIFE))
    case $(ssh -V 2>&1) in
    OpenSSH_[1-8].* | OpenSSH_9.0*) date -d "@$end" +%Y%m%d%H%M%S ;;
    *) date -u -d "@$end" +%Y%m%d%H%M%SZ ;;
    esac
}
admitted() {
    printf 'restrict,expiry-time="%s",%s' "$end" "${FROM:+from=\"$FROM\",}" &&
        printf 'command="exec %s/bin/sh %s/unpack.sh" %s%s%s%s\n' "${BECOME:+$BECOME }" "$dir" "$KEY" "$ours" "$ID" "$mark" &&
        { [ ! -e "$keys" ] || cat "$keys"; }
}
end=$(ending)
folder=$(dirname "$keys")
[ -d "$folder" ] || { mkdir -m 0700 "$folder" && chown "$LOGIN" "$folder"; }
lock_keys
forget "$ours"
# Another app's copy may be what made the file.
mark=
if [ ! -e "$keys" ] || { [ -s "$keys" ] && ! grep -qv ' rel-one-use .* new$' "$keys"; }; then mark=" new"; fi
# Before there is a key, so that it is found whatever happens.
put "$dir/lent" "$keys"
[ "$(cat "$dir/dismissed" 2>/dev/null)" != "$KEY" ] || exit 1
replace_keys admitted
