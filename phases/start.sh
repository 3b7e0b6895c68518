# Start the job on a target, or find it running, and follow it to its end.
#
# In: DIR (the promotion's folder), VERB (apply or revert), REASON, ATTEMPT,
# DEADLINE (seconds); on standard input the job's rows, a line "---" and
# apply.sh itself. The job's log goes to standard error.
# Out: end=<result.json or revert.json>, lost=yes if the job died, held=<id> if
# another promotion's job runs.
set -eu
umask 077
case $VERB in
apply) end=$DIR/result.json ;;
*) end=$DIR/revert.json ;;
esac
state=$(dirname "$(dirname "$DIR")")
log=$DIR/apply.log
mkdir -p "$DIR"

while IFS= read -r row && [ "$row" != --- ]; do printf '%s\n' "$row"; done >"$DIR/job.new"
cat >"$DIR/apply.sh.new"

idle() { flock -n "$state/apply.lock" true; }

discard() { rm -f "$DIR/job.new" "$DIR/apply.sh.new"; }

touch "$log"
offset=0
stop=$(($(date +%s) + DEADLINE))
# A revert waits for the lock by itself. An apply that runs is the one to follow;
# one that is being reverted has to end before the next can begin.
attach=
others=0
while [ "$VERB" = apply ] && ! idle && [ "$(date +%s)" -lt "$stop" ]; do
    read -r who doing <"$state/apply.who" || true
    if [ "$who" != "$(basename "$DIR")" ]; then
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
if [ -n "$attach" ]; then
    discard
else
    mv "$DIR/job.new" "$DIR/job"
    mv "$DIR/apply.sh.new" "$DIR/apply.sh"
    # Kept under another name: nothing that happened is overwritten.
    case $VERB in
    apply) set -- result.json reverted armed stuck ;;
    *) set -- revert.json ;;
    esac
    for old in "$@"; do
        [ ! -e "$DIR/$old" ] || mv "$DIR/$old" "$DIR/$old.$(date +%s)"
    done
    offset=$(wc -c <"$log")
    unit=rel-$VERB-$(basename "$state")-$(basename "$DIR")-$ATTEMPT
    # A revert may be asked for twice in one attempt, and its unit be there still.
    [ "$VERB" = apply ] || unit=$unit-$(date +%s)
    if [ -d /run/systemd/system ]; then
        # shellcheck disable=SC2016 # the inner shell expands them
        systemd-run --quiet --collect --unit="$unit" --setenv=PATH="$PATH" \
            /bin/sh -c 'exec /bin/sh "$1/apply.sh" "$2" "$1" "$3" 2>>"$1/apply.log"' "$unit" "$DIR" "$VERB" "$REASON"
    else
        setsid /bin/sh "$DIR/apply.sh" "$VERB" "$DIR" "$REASON" </dev/null >/dev/null 2>>"$log" &
    fi
fi

follow() {
    size=$(wc -c <"$log")
    [ "$size" -le "$offset" ] || tail -c +$((offset + 1)) "$log" | head -c $((size - offset)) >&2
    offset=$size
}
quiet=0
while [ ! -e "$end" ] && [ "$(date +%s)" -lt "$stop" ]; do
    follow
    # Between its start and its taking the lock a job looks dead for a moment.
    if idle; then quiet=$((quiet + 1)); else quiet=0; fi
    if [ "$quiet" -gt 40 ] && [ ! -e "$end" ]; then
        echo "lost=yes"
        exit 0
    fi
    sleep 0.25
done
follow
if [ -e "$end" ]; then sed -e 's/^/end=/' -e 1q "$end"; fi
