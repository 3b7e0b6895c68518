# Write what targets lack into a file, as weave.sh has it: it is sent more than once, or it
# has to be known how much it is.
#
# In: as weave.sh; ID, SWEEP (whether what the promotion left here goes first; nothing, if
# not), INLINE (bytes, up to which it is answered, and no file kept).
# Out: bundle=<the file>, bytes=<its size>; or a line "data=", and it.
set -eu
make_work
take_rows
# What runs left that were killed: this promotion's, and others' after two days.
find "$TMPDIR" -maxdepth 1 -name '.rel-*' -user "$(id -un)" -mmin +2880 -exec rm -rf {} + 2>/dev/null || true
[ -z "$SWEEP" ] || rm -rf "$TMPDIR/.rel-bundle-$ID-"*
stream >"$work/stream"
size=$(wc -c <"$work/stream")
if [ "$size" -le "$INLINE" ]; then
    echo "data="
    cat "$work/stream"
else
    bundle=$(mktemp -d "$TMPDIR/.rel-bundle-$ID-XXXXXX")
    mv "$work/stream" "$bundle"
    echo "bundle=$bundle/stream"
    echo "bytes=$size"
fi
