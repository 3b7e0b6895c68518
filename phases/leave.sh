# Let the hold of a target go, and leave word of how the run ended.
#
# In: APP ID EPOCH, LEDGER (JSON members for the target's record).
# Out: nothing. A hold that is someone else's by now is left as it is; and it may be
# let go twice, where the answer was lost.
set -eu
alone
if ! holding || [ "$h_epoch" != "$EPOCH" ]; then exit 0; fi
ledger released "$LEDGER"
rm -f "$state/hold"
