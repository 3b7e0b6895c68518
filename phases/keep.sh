# Call the revert timers of an applied release off: it stays as it is.
#
# In: APP ID EPOCH.
set -eu
fence
exec 9>"$state/apply.lock"
flock -w 60 9 9>&9
# A timer that has fired and waits for the lock finds no window.
disarm
