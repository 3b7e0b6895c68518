# Call the revert timer of an applied release off: it stays as it is.
#
# In: APP ID.
set -eu
state=/var/lib/rel/$APP
exec 9>"$state/apply.lock"
flock -w 60 9
# A timer that has fired and waits for the lock finds this gone.
rm -f "$state/releases/$ID/armed"
[ ! -d /run/systemd/system ] || systemctl stop "rel-expire-$APP-$ID.timer" 2>/dev/null || true
