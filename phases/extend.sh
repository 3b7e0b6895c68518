# Let the confirm window begin anew, while the operator is there.
#
# In: APP ID EPOCH CONFIRM (seconds). Out: left= (seconds); nothing, if no window is
# open: the release is confirmed or kept, has gone back, or was live before.
set -eu
fence
exec 9>"$state/apply.lock"
flock -w 60 9 9>&9
[ -e "$dir/armed" ] || exit 0
if left "$dir" >/dev/null; then
    put "$dir/armed" "$(boot) $(($(now) + CONFIRM))"
else
    # The machine was restarted, and its timers with it.
    open_window "$CONFIRM"
fi
echo "left=$CONFIRM"
