# Start the job on a target, or find it running, and follow it to its end.
#
# In: APP ID EPOCH, VERB (apply or revert), REASON, ATTEMPT, LIMIT (seconds); on
# standard input the job's rows, a line "---", the job's own script and the last line; with
# SUM, its SHA-256, not the script: what is live has it.
# The job's log goes to standard error.
# Out: end=<result.json or revert.json>, lost=yes if the job died, held=<id> if
# another promotion's job runs, unlike=yes if what is live has another script.
set -eu
case $VERB in
apply) end=$dir/result.json ;;
*) end=$dir/revert.json ;;
esac
log=$dir/apply.log
mkdir -p "$dir"
# Of two of us, where one was cut off and asked for again, each has files of its own.
new=$dir/new.$$

idle() { flock -n "$state/apply.lock" true; }

discard() { rm -f "$new.job" "$new.sh"; }

while IFS= read -r row && [ "$row" != --- ]; do printf '%s\n' "$row"; done >"$new.job"
if [ -z "$SUM" ]; then
    cat >"$new.sh"
else
    cp "$state/live/apply.sh" "$new.sh" 2>/dev/null || true
    sum=$(sha256sum "$new.sh" 2>/dev/null) || true
    [ "${sum%% *}" = "$SUM" ] || { discard && echo "unlike=yes" && exit 0; }
fi

# The script that lies there may be all that puts the previous release back.
whole "$new.sh" || { discard && exit 1; }

# And one decides at a time whether there is anything to be started.
exec 6>"$dir/start.lock"
flock -w "$LIMIT" 6 6>&6 || { discard && exit 1; }
touch "$log"
offset=0
# over: whether this attempt has run to its end while nobody looked.
over() { [ "$VERB" = apply ] && grep -qs "{\"attempt\":$ATTEMPT," "$end"; }
# started: whether it has been begun at all; its job may not have the lock yet.
started() { [ "$VERB" = apply ] && [ "$(cat "$dir/started" 2>/dev/null)" = "$ATTEMPT" ]; }
stop=$(($(date +%s) + LIMIT))
# A revert waits for the lock by itself. An apply that runs is the one to follow;
# one that is being reverted has to end before the next can begin.
attach=
others=0
while [ "$VERB" = apply ] && ! over && ! started && ! idle && [ "$(date +%s)" -lt "$stop" ]; do
    who='' doing=''
    { read -r who doing <"$state/apply.who"; } 2>/dev/null || true
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
if [ -n "$attach" ] || over || started; then
    discard
else
    # Not before the wait above: nobody could take over while this waits.
    fence
    mv "$new.job" "$dir/job"
    mv "$new.sh" "$dir/apply.sh"
    [ "$VERB" != apply ] || put "$dir/started" "$ATTEMPT"
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
        setsid /bin/sh "$dir/apply.sh" "$VERB" "$APP" "$ID" "$REASON" </dev/null >/dev/null 2>>"$log" 6>&- 8>&- &
    fi
    exec 8>&-
fi
exec 6>&-

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
