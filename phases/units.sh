# The units that the job restarts.

property() { systemctl show -p "$2" --value -- "$1"; }

restart() {
    systemctl reset-failed "$1" 2>/dev/null
    timeout 300 systemctl restart "$1"
}

# done_once UNIT: whether it is one that runs, succeeds and is over.
done_once() { [ "$(property "$1" Type)" = oneshot ] && [ "$(property "$1" Result)" = success ]; }

# condition UNIT: its state, where "done" is one that ran once and succeeded. One
# that never ran looks the same but for the time.
condition() {
    if done_once "$1" && [ "$(property "$1" ExecMainStartTimestampMonotonic)" != 0 ]; then
        echo "done"
    else
        property "$1" ActiveState
    fi
}

# active UNIT: wait until it is, for at most a minute.
active() {
    tries=0
    while [ "$tries" -lt 240 ]; do
        case $(property "$1" ActiveState) in
        active) return 0 ;;
        failed) return 1 ;;
        inactive)
            done_once "$1"
            return
            ;;
        esac
        tries=$((tries + 1))
        sleep 0.25
    done
    return 1
}

# pulse: each unit, of those on standard input, with its main process and how
# often systemd restarted it.
pulse() {
    while read -r unit; do
        [ -z "$unit" ] || printf '%s %s %s %s\n' "$unit" "$(property "$unit" ActiveState)" "$(property "$unit" MainPID)" "$(property "$unit" NRestarts)"
    done
}

# stale: a unit whose main process still is a binary that the release replaced.
stale() {
    field unit | while read -r unit; do
        exe=$(readlink "/proc/$(property "$unit" MainPID)/exe") || continue
        rows "$dir/previous" link | while IFS=$tab read -r link was; do
            if [ -n "$was" ] && [ "$was" != "$(at "$link")" ] && [ "$exe" = "$(readlink -f "$was")" ]; then printf '%s\n' "$unit"; fi
        done
    done | sed -n 1p
}

# steady UNITS: whether each of them is up, and stays as it is for the settle time.
# If not, faulty is one that is not. The first of several is taken with sed -n 1p here and
# elsewhere in the job, never 1q: systemd has the job ignore SIGPIPE, and whoever writes to a
# sed that is gone then complains of an I/O error, as if the disk were failing.
steady() {
    before=$(printf '%s\n' "$1" | pulse)
    [ -z "$before" ] || sleep "$settle"
    after=$(printf '%s\n' "$1" | pulse)
    faulty=$({
        printf '%s\n%s\n' "$before" "$after" | sort | uniq -u | cut -d' ' -f1
        # One that was down before and after has not changed either.
        printf '%s\n' "$1" | while read -r unit; do
            [ -z "$unit" ] || [ "$(property "$unit" ActiveState)" = active ] || done_once "$unit" || echo "$unit"
        done
    } | sed -n 1p)
    [ -z "$faulty" ]
}
