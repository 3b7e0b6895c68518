# Send store paths to a target from here, as weave.sh has it. The input ends when nobody
# wants it any more.
#
# Out: what the target's nix-store answers; and it tells ssh=<its status>, said=<its own
# words>, sent=<the status of what was to be sent>, beside what dd says of the bytes.
set -eu
make_work
ready_login
# The login takes a while, and may be under way before it is known what is to be sent.
send_all() {
    status=0
    # What it says may be wanted no more, which ends it.
    (take_rows && : >"$work/taken" && stream) || status=$?
    : >"$work/taken"
    tell "sent=$status"
}
# Each second it says how far it is, where dd can do that.
meter() {
    progress=
    ! dd if=/dev/null status=progress 2>/dev/null || progress=status=progress
    dd bs=64k $progress
}
login() {
    set -f
    # shellcheck disable=SC2086 # they are words
    exec ssh $options -- "$ADDRESS" receive
}
exec 5<&0 6>&1
send_all | meter | until_unwanted login
