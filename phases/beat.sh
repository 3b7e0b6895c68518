# Keep the hold of a target alive for as long as someone asks for it.
#
# In: APP ID EPOCH OPERATOR KEY; on standard input a line for each heartbeat: the
# phase. It ends with its input: a hold lives by its owner, not by a script that
# the owner once started.
# Out: for each line beat=yes; or lost=<who has it now>, and the end.
set -eu
since=$(date -u +%Y-%m-%dT%H:%M:%SZ)
! holding || since=$h_since
boot=$(boot)
while IFS= read -r phase; do
    alone
    # One that was let go is not taken up again by a heartbeat that comes late.
    if [ "$(highest)" != "$EPOCH" ] || ! holding || [ "$h_epoch" != "$EPOCH" ]; then
        holder lost
        exit 0
    fi
    read -r uptime _ </proc/uptime
    hold "$EPOCH|$ID|$phase|$boot|${uptime%%.*}|$since|$KEY|$OPERATOR"
    exec 7>&-
    echo "beat=yes"
done
