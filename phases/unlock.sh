# Take the hold of a target away from whoever has it.
#
# In: APP ID (the promotion that holds it), FORCE (yes: although its heartbeat is
# fresh), LEDGER (JSON members for the target's record).
# Out: free=yes, if no one holds it; held=<who>, if that is another promotion, or
# alive; unlocked=<who held it>.
set -eu
[ -d "$state" ] || { echo "free=yes" && exit 0; }
alone
if ! holding; then
    echo "free=yes"
elif [ "$h_id" != "$ID" ] || { alive && [ "$FORCE" != yes ]; }; then
    holder held
else
    # Whoever had it is refused from here on, if they are there after all.
    grant
    holder unlocked
    rm -f "$state/hold"
    ledger unlocked "$LEDGER,\"epoch\":$granted"
fi
