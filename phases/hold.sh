# What takes, keeps and ends the hold of a target.

# alive: whether the holder has given a sign of life within the lifetime of a
# hold: that many seconds, by the clock of this machine.
alive() { [ -n "$h_epoch" ] && [ "$h_age" -lt 15 ]; }

# hold TEXT: be it, in place of what was there.
hold() { ln -sfn "$1" "$state/hold.new" && mv -fT "$state/hold.new" "$state/hold"; }

# alone: one at a time looks at the hold and changes it.
alone() {
    exec 7>"$state/hold.lock"
    flock -w 20 7 7>&7 || { say "somebody is changing the hold, and does not end" && exit 1; }
}

# grant: an epoch higher than all before it. What changes the target at this
# moment is let finish; from then on an older epoch is refused.
grant() {
    exec 8>"$state/epoch.lock"
    flock -w 120 8 8>&8 || { say "a script of another promotion is changing this target, and does not end" && exit 1; }
    granted=$(($(highest) + 1))
    put "$state/epoch" "$granted $ID"
    exec 8>&-
}
