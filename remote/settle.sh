# Make an uploaded file the one it is to be, if it arrived whole.
#
# In: FROM TO MODE SHA256.
set -eu
umask 077
beside=$(dirname "$TO")/$(basename "$FROM" .sent)
fail() {
    rm -f "$FROM" "$beside"
    echo "$1" >&2
    exit 1
}
[ -f "$FROM" ] || fail "nothing arrived at $FROM"
[ ! -d "$TO" ] || fail "$TO is a folder"
# What another user's scp wrote is copied before it is looked at: from then on
# only we can change it.
[ "$FROM" = "$beside" ] || { cat "$FROM" >"$beside" && rm -f "$FROM"; } || fail "cannot write beside $TO"
sum=$(sha256sum <"$beside" | cut -d' ' -f1)
[ "$sum" = "$SHA256" ] || fail "what arrived for $TO is not what was sent"
chmod "$MODE" "$beside"
sync "$beside"
mv -f "$beside" "$TO"
sync "$(dirname "$TO")"
