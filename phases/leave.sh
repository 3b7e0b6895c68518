# Let the hold of a target go, and leave word of how the run ended.
#
# In: APP ID EPOCH, LEDGER (JSON members for the target's record), KEEP (how many
# confirmed releases stay pinned; empty, if there is nothing to unpin).
# Out: nothing. A hold that is someone else's by now is left as it is; and it may be
# let go twice, where the answer was lost.
set -eu

leave() {
    # Who takes the target over waits for what prune has locked, and we for them.
    exec 8>&-
    alone
    if ! holding || [ "$h_epoch" != "$EPOCH" ]; then exit 0; fi
    ledger released "$LEDGER"
    rm -f "$state/hold"
}

# Whatever becomes of the pruning, the hold is let go.
trap leave EXIT
[ -z "$KEEP" ] || prune
