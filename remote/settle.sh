# Take a file with scp, and make it the one it is to be, if it arrived whole.
#
# In: BESIDE TO MODE SHA256; on standard input what scp sends.
set -eu
umask 077
fail() {
    rm -f "$BESIDE"
    echo "$1" >&2
    exit 1
}
[ ! -d "$TO" ] || fail "$TO is a folder"
# A zero for the beginning, for the file's name and for its end; or else what is wrong.
answers=$(scp -qt "$BESIDE" | head -c 1000 | tr '\000-\002' '.!!')
[ "$answers" = ... ] || fail "scp did not take what was sent for $TO: $answers"
sum=$(sha256sum <"$BESIDE" | cut -d' ' -f1)
[ "$sum" = "$SHA256" ] || fail "what arrived for $TO is not what was sent"
chmod "$MODE" "$BESIDE"
sync "$BESIDE"
mv -f "$BESIDE" "$TO"
sync "$(dirname "$TO")"
