# Start the job on a target, or find it running, and follow it to its end.
#
# In: APP ID EPOCH, VERB (apply or revert), REASON, ATTEMPT, LIMIT (seconds); on
# standard input the job's rows, a line "---", the job's own script and the last line.
# The job's log goes to standard error.
# Out: end=<result.json or revert.json>, lost=yes if the job died, held=<id> if
# another promotion's job runs.
set -eu
case $VERB in
apply) end=$dir/result.json ;;
*) end=$dir/revert.json ;;
esac
log=$dir/apply.log
mkdir -p "$dir"

while IFS= read -r row && [ "$row" != --- ]; do printf '%s\n' "$row"; done >"$dir/job.new"
cat >"$dir/apply.sh.new"

idle() { flock -n "$state/apply.lock" true; }

discard() { rm -f "$dir/job.new" "$dir/apply.sh.new"; }

# The script that lies there may be all that puts the previous release back.
whole "$dir/apply.sh.new" || { discard && exit 1; }

touch "$log"
offset=0
# over: whether this attempt has run to its end while nobody looked.
over() { [ "$VERB" = apply ] && grep -qs "{\"attempt\":$ATTEMPT," "$end"; }
stop=$(($(date +%s) + LIMIT))
# A revert waits for the lock by itself. An apply that runs is the one to follow;
# one that is being reverted has to end before the next can begin.
attach=
others=0
while [ "$VERB" = apply ] && ! over && ! idle && [ "$(date +%s)" -lt "$stop" ]; do
    read -r who doing <"$state/apply.who" || true
    if [ "$who" != "$ID" ]; then
        # A job that has just taken the lock may not have signed yet.
        others=$((others + 1))
        if [ "$others" -gt 8 ]; then
            discard
            echo "held=$who"
            exit 0
        fi
    elif [ "$doing" = apply ] && [ ! -e "$end" ]; then
        attach=yes
        break
    fi
    sleep 0.25
done
if [ -n "$attach" ] || over; then
    discard
else
    # Not before the wait above: nobody could take over while this waits.
    fence
    mv "$dir/job.new" "$dir/job"
    mv "$dir/apply.sh.new" "$dir/apply.sh"
    # Kept under another name: nothing that happened is overwritten.
    [ ! -e "$end" ] || mv "$end" "$end.$(date +%s)"
    offset=$(wc -c <"$log")
    unit=rel-$VERB-$APP-$ID-$ATTEMPT
    # A revert may be asked for twice in one attempt, and its unit be there still.
    [ "$VERB" = apply ] || unit=$unit-$(date +%s)
    if [ -d /run/systemd/system ]; then
        # shellcheck disable=SC2016 # the inner shell expands them
        systemd-run --quiet --collect --unit="$unit" --setenv=PATH="$PATH" \
            /bin/sh -c 'log=$1 && shift && exec /bin/sh "$@" 2>>"$log"' "$unit" \
            "$log" "$dir/apply.sh" "$VERB" "$APP" "$ID" "$REASON"
    else
        setsid /bin/sh "$dir/apply.sh" "$VERB" "$APP" "$ID" "$REASON" </dev/null >/dev/null 2>>"$log" 8>&- &
    fi
    exec 8>&-
fi

follow() {
    size=$(wc -c <"$log")
    [ "$size" -le "$offset" ] || tail -c +$((offset + 1)) "$log" | head -c $((size - offset)) >&2
    offset=$size
}
# Whether the job still lives is looked at once a second: between its start and
# its taking the lock it looks dead for a moment.
quiet=0
turn=0
while [ ! -e "$end" ]; do
    follow
    turn=$((turn + 1))
    if [ $((turn % 4)) -eq 0 ]; then
        if idle; then quiet=$((quiet + 1)); else quiet=0; fi
        if [ "$quiet" -gt 10 ] && [ ! -e "$end" ]; then
            echo "lost=yes"
            exit 0
        fi
        [ "$(date +%s)" -lt "$stop" ] || break
    fi
    sleep 0.25
done
follow
if [ -e "$end" ]; then sed -e 's/^/end=/' -e 1q "$end"; fi
