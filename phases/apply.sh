# The job that changes a target. It lies in the promotion's own folder there
# and runs detached, so that a lost connection neither kills nor doubles it.
#
#   apply.sh apply DIR            make DIR's release live, or put the previous back
#   apply.sh revert DIR REASON    put the previous back, unless it is confirmed
#
# DIR/job has rows separated by tabs: app, attempt, confirm and settle (seconds),
# "was <link> <target>" (as verify saw it; no target: no link), "link <link>
# <target>", "unit <name>" in the order of restart, and "ledger <JSON members>".
#
# What it leaves in DIR: previous (written once, never again), armed (when the
# confirm window ends), result.json, reverted, stuck; each appears whole, by
# rename. It reverts to exactly what previous says and deletes nothing.
set -u
umask 077
verb=$1 dir=$2
id=$(basename "$dir")
state=$(dirname "$(dirname "$dir")")
tab=$(printf '\t')

field() { sed -n "s/^$1$tab//p" "$dir/job"; }
app=$(field app)
attempt=$(field attempt)
confirm=$(field confirm)
settle=$(field settle)
systemd=
[ ! -d /run/systemd/system ] || systemd=yes

say() { printf '%s\n' "$*" >&2; }

# put FILE TEXT: the file appears with this text, whole, and stays.
put() {
    printf '%s\n' "$2" >"$1.new" && sync "$1.new" && mv -f "$1.new" "$1" && sync "$dir"
}

result() { # applied|refused|reverted|stuck, unit, text
    put "$dir/result.json" "{\"attempt\":$attempt,\"result\":\"$1\",\"unit\":\"$2\",\"text\":\"$3\"}"
    say "result: $1${3:+: $3}"
}

ledger() { # what
    printf '{"at":"%s","what":"%s",%s}\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$1" "$(field ledger)" >>"$state/ledger.jsonl"
    sync "$state/ledger.jsonl"
}

# at LINK: what it points at; nothing if it is not there.
at() { readlink "$1" || true; }

# point LINK TARGET: by rename, so that there is no instant without the link.
point() {
    rm -f "$1.rel-new" && ln -s "$2" "$1.rel-new" && mv -fT "$1.rel-new" "$1" && sync "$(dirname "$1")"
}

# --- the way back ---------------------------------------------------------

remember() {
    [ ! -e "$dir/previous" ] || return 0
    {
        field link | while IFS=$tab read -r link _; do
            printf 'link\t%s\t%s\n' "$link" "$(at "$link")"
        done
        field unit | while read -r unit; do
            printf 'unit\t%s\t%s\n' "$unit" "$(property "$unit" ActiveState)"
        done
    } >"$dir/previous.new"
    sync "$dir/previous.new" && mv "$dir/previous.new" "$dir/previous" && sync "$dir"
}

# changed: a link that is neither as it was nor already ours. Someone else
# promoted, or repointed it by hand; going on would take their work away.
changed() {
    if [ -e "$dir/previous" ]; then sed -n "s/^link$tab//p" "$dir/previous"; else field was; fi |
        while IFS=$tab read -r link target; do
            now=$(at "$link")
            [ "$now" = "$target" ] || field link | grep -qxF "$link$tab$now" || printf '%s\n' "$link"
        done | sed 1q
}

restore() {
    broken=
    while IFS=$tab read -r kind name was; do
        [ "$kind" = link ] || continue
        now=$(at "$name")
        if [ "$now" = "$was" ]; then
            continue
        elif ! field link | grep -qxF "$name$tab$now"; then
            say "$name was changed by someone else; left as it is"
        elif [ -n "$was" ]; then
            point "$name" "$was" || broken="$broken $name"
        else
            rm -f "$name" && sync "$(dirname "$name")"
        fi
    done <"$dir/previous"
    while IFS=$tab read -r kind name was; do
        [ "$kind" = unit ] || continue
        if [ "$was" = active ]; then
            restart "$name" && active "$name" || broken="$broken $name"
        else
            systemctl stop "$name" || broken="$broken $name"
            systemctl reset-failed "$name" 2>/dev/null
        fi
    done <"$dir/previous"
    [ -z "$broken" ]
}

# --- the timers -----------------------------------------------------------

# arm NAME SECONDS REASON: unless it is disarmed, the release goes back then.
arm() {
    if [ -n "$systemd" ]; then
        systemd-run --quiet --collect --unit="rel-$1-$app-$id" --on-active="$2" --timer-property=AccuracySec=1s \
            --setenv=PATH="$PATH" /bin/sh "$dir/apply.sh" revert "$dir" "$3"
    else
        # shellcheck disable=SC2016 # the inner shell expands them
        setsid /bin/sh -c 'sleep "$1"; exec /bin/sh "$2/apply.sh" revert "$2" "$3"' "rel-$1-$app-$id" "$2" "$dir" "$3" \
            </dev/null >/dev/null 2>&1 9>&- &
    fi
}

disarm() { # name
    [ -z "$systemd" ] || systemctl stop "rel-$1-$app-$id.timer" 2>/dev/null
}

# --- the units ------------------------------------------------------------

property() { systemctl show -p "$2" --value -- "$1"; }

restart() {
    systemctl reset-failed "$1" 2>/dev/null
    timeout 300 systemctl restart "$1"
}

# active UNIT: wait until it is, for at most a minute.
active() {
    tries=0
    while [ "$tries" -lt 240 ]; do
        case $(property "$1" ActiveState) in
        active) return 0 ;;
        failed | inactive) return 1 ;;
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
        sed -n "s/^link$tab//p" "$dir/previous" | while IFS=$tab read -r link was; do
            if [ -n "$was" ] && [ "$was" != "$(at "$link")" ] && [ "$exe" = "$(readlink -f "$was")" ]; then printf '%s\n' "$unit"; fi
        done
    done | sed 1q
}

# --- the two verbs --------------------------------------------------------

# give_up UNIT TEXT: say what the unit said, and put the previous release back.
give_up() {
    say "$2"
    [ -z "$1" ] || journalctl --no-pager --quiet --since="@$began" --lines=30 --output=cat --unit="$1" >&2
    say "putting the previous release back"
    if restore; then
        ledger failed
        result reverted "$1" "$2"
    else
        put "$dir/stuck" "not as before:$broken"
        result stuck "$1" "$2; not as before:$broken"
    fi
    disarm guard
    exit 0
}

apply() {
    began=$(date +%s)
    link=$(changed)
    [ -z "$link" ] || { result refused "" "$link was changed since verify"; exit 0; }
    remember || { result refused "" "cannot write down the way back"; exit 0; }
    # The guard is for the death of this job; the confirm window begins after it.
    if [ "$confirm" -gt 0 ]; then
        arm guard 1800 "the apply did not end" || { result refused "" "cannot arm the revert timer"; exit 0; }
    fi
    # Nix does not sync what it copies: without this a power cut could leave a
    # link to a binary that is valid, and empty.
    sync -f /nix/store 2>/dev/null || sync
    field link >"$dir/links.now"
    while IFS=$tab read -r link target; do
        point "$link" "$target" || give_up "" "cannot repoint $link"
        say "$link -> $target"
    done <"$dir/links.now"
    field unit >"$dir/units.now"
    while read -r unit; do
        say "restarting $unit"
        restart "$unit" || give_up "$unit" "$unit did not start"
        active "$unit" || give_up "$unit" "$unit is not active"
    done <"$dir/units.now"
    steady
    ledger applied
    if [ "$confirm" -gt 0 ]; then
        put "$dir/armed" "$(($(date +%s) + confirm))"
        arm revert "$confirm" "not confirmed within ${confirm}s" || give_up "" "cannot arm the revert timer"
    fi
    disarm guard
    result applied "" ""
}

# steady: every unit stays as it is for the settle time, with a new binary.
steady() {
    before=$(pulse)
    [ -z "$before" ] || sleep "$settle"
    after=$(pulse)
    [ "$before" = "$after" ] || {
        unit=$(printf '%s\n%s\n' "$before" "$after" | sort | uniq -u | cut -d' ' -f1 | sed 1q)
        give_up "$unit" "$unit did not stay up for ${settle}s"
    }
    unit=$(stale)
    [ -z "$unit" ] || give_up "$unit" "$unit still runs the previous binary"
}

revert() { # reason
    if [ -e "$dir/confirmed" ] || [ -e "$dir/reverted" ] || [ ! -e "$dir/previous" ]; then exit 0; fi
    say "going back: $1"
    restore || put "$dir/stuck" "not as before:$broken"
    ledger reverted
    disarm revert
    disarm guard
    put "$dir/reverted" "$1"
}

# Children inherit the lock's descriptor, and a daemon among them would hold it
# for ever; systemctl and systemd-run start theirs elsewhere.
exec 9>"$state/apply.lock"
case $verb in
apply)
    flock -n 9 || { result refused "" "another apply is running"; exit 0; }
    apply
    ;;
revert)
    flock -w 1800 9 || exit 1
    revert "$3"
    ;;
esac
