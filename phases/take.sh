# Take the hold of a target, or say who has it.
#
# In: APP ID; OPERATOR, KEY (who takes it), OVER (the epoch of a hold to take
# over although its heartbeat is fresh), LEDGER (JSON members for the target's
# record), LEAST (KiB, below which it is left).
# Out: room= (KiB for what is kept here); epoch= (the one granted), over=<who had
# it>, if it was taken over; or held=<who has it>.
set -eu
mkdir -p "$state/releases"
room=$(df -Pk "$state" | awk 'NR == 2 { print $4 }')
echo "room=$room"
[ "$room" -ge "$LEAST" ] || exit 0
# That of mksh counts in 32 bits.
[ $((2147483647 + 1)) -gt 0 ] || { say "/bin/sh here does not count beyond 2147483647" && exit 1; }
# Busybox has one that waits for ever, or not at all.
flock -w 1 "$state" true 2>/dev/null || { say "there is no flock of util-linux here" && exit 1; }
alone
if holding && alive && [ "$h_epoch" != "$OVER" ]; then
    holder held
    exit 0
fi
replaced=
if [ -n "$h_epoch" ]; then
    holder over
    replaced=",\"over\":\"$h_id\",\"of\":\"$(printf '%s' "$h_operator" | tr -d '"\\\000-\037')\""
fi
grant
hold "$granted|$ID||$(boot)|$(now)|$(date -u +%Y-%m-%dT%H:%M:%SZ)|$KEY|$OPERATOR"
ledger held "$LEDGER,\"epoch\":$granted$replaced"
echo "epoch=$granted"
