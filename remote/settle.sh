# Make an uploaded file the one it is to be, if it arrived whole.
#
# In: FROM TO MODE SHA256.
set -eu
fail() {
    rm -f "$FROM"
    echo "$1" >&2
    exit 1
}
[ -f "$FROM" ] || fail "nothing arrived at $FROM"
[ ! -d "$TO" ] || fail "$TO is a folder"
sum=$(sha256sum <"$FROM" | cut -d' ' -f1)
[ "$sum" = "$SHA256" ] || fail "what arrived for $TO is not what was sent"
chmod "$MODE" "$FROM"
sync "$FROM"
mv -f "$FROM" "$TO"
sync "$(dirname "$TO")"
