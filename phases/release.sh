# Let the hold of a target go, and leave word of how the run ended.
#
# In: APP ID EPOCH, LEDGER (JSON members for the target's record).
# Out: nothing. A hold that is someone else's by now is left as it is.
set -eu
alone
[ "$(highest)" = "$EPOCH" ] || exit 0
ledger released "$LEDGER"
rm -f "$state/hold"
