# The units that the job restarts.

property() { systemctl show -p "$2" --value -- "$1"; }

restart() {
    systemctl reset-failed "$1" 2>/dev/null
    timeout 300 systemctl restart "$1"
}

# done_once UNIT: whether it is one that runs, succeeds and is over.
done_once() { [ "$(property "$1" Type)" = oneshot ] && [ "$(property "$1" Result)" = success ]; }

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

# pulse: each unit with its main process and how often systemd restarted it.
pulse() {
    field unit | while read -r unit; do
        printf '%s %s %s %s\n' "$unit" "$(property "$unit" ActiveState)" "$(property "$unit" MainPID)" "$(property "$unit" NRestarts)"
    done
}

# stale: a unit whose main process still is a binary that the release replaced.
stale() {
    field unit | while read -r unit; do
        exe=$(readlink "/proc/$(property "$unit" MainPID)/exe") || continue
        rows "$dir/previous" link | while IFS=$tab read -r link was; do
            if [ -n "$was" ] && [ "$was" != "$(at "$link")" ] && [ "$exe" = "$(readlink -f "$was")" ]; then printf '%s\n' "$unit"; fi
        done
    done | sed 1q
}

# steady: whether every unit stays as it is for the settle time. If not, faulty is
# one that did not.
steady() {
    before=$(pulse)
    [ -z "$before" ] || sleep "$settle"
    after=$(pulse)
    faulty=$(printf '%s\n%s\n' "$before" "$after" | sort | uniq -u | cut -d' ' -f1 | sed 1q)
    [ -z "$faulty" ]
}
