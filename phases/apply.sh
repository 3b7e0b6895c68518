# The job that changes a target. It lies in the promotion's own folder there
# and runs detached, so that a lost connection neither kills nor doubles it.
#
#   apply.sh apply DIR             make DIR's release live, or put the previous back
#   apply.sh revert DIR REASON     put the previous back, unless it is confirmed
#   apply.sh guard DIR ATTEMPT     the same, if that apply died without a result
#   apply.sh expire DIR DEADLINE   the same, if the window that ends then is open
#
# DIR/job has rows separated by tabs: app, attempt, confirm and settle (seconds),
# "was <link> <target>" (as verify saw it; no target: no link), "link <link>
# <target>", "unit <name>" in the order of restart, and "ledger <JSON members>".
#
# What it leaves in DIR: previous (written once, never again), begun (links may be
# switched, until it is gone), armed (when the confirm window ends), result.json (how the apply ended), revert.json (how a
# revert did), reverted (why it went back), stuck (what it could not put back);
# each appears whole, by rename. It reverts to exactly what previous says and
# deletes nothing.
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

# outcome FILE RESULT UNIT TEXT: how it ended. Without room for it there is none,
# and who waits for it learns that the job was lost.
outcome() {
    put "$dir/$1" "{\"attempt\":$attempt,\"result\":\"$2\",\"unit\":\"$3\",\"text\":\"$4\"}" || exit 1
    say "result: $2${4:+: $4}"
    exit 0
}

# result RESULT UNIT TEXT, where RESULT is applied, refused, reverted or stuck.
result() { outcome result.json "$@"; }

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
    # On a full disk the loops above fail without a word.
    [ "$(wc -l <"$dir/previous.new")" -eq "$({ field link && field unit; } | wc -l)" ] &&
        sync "$dir/previous.new" && mv "$dir/previous.new" "$dir/previous" && sync "$dir"
}

# ours LINK: whether it points where this release wants it.
ours() { field link | grep -qxF "$1$tab$(at "$1")"; }

# changed: a link that is neither as it was nor already ours. Someone else
# promoted, or repointed it by hand; going on would take their work away.
changed() {
    if [ -e "$dir/previous" ]; then sed -n "s/^link$tab//p" "$dir/previous"; else field was; fi |
        while IFS=$tab read -r link target; do
            [ "$(at "$link")" = "$target" ] || ours "$link" || printf '%s\n' "$link"
        done | sed 1q
}

#
# Of several foreign links among our own, the units cannot be as they were: that
# is said. Where all are foreign, another release is live, and nothing is ours.
restore() {
    broken=
    foreign=
    back=
    while IFS=$tab read -r kind name was; do
        [ "$kind" = link ] || continue
        if [ "$(at "$name")" = "$was" ]; then
            continue
        elif ! ours "$name"; then
            say "$name was changed by someone else; left as it is"
            foreign="$foreign $name"
            continue
        elif [ -n "$was" ]; then
            point "$name" "$was" || broken="$broken $name"
        elif ! rm -f "$name" || ! sync "$(dirname "$name")"; then
            broken="$broken $name"
        fi
        back=yes
    done <"$dir/previous"
    # Where someone else's release is live, the units are theirs too.
    if [ -n "$foreign" ] && [ -z "$back" ] && [ ! -e "$dir/stuck" ]; then return 0; fi
    broken="$broken$foreign"
    while IFS=$tab read -r kind name was; do
        [ "$kind" = unit ] || continue
        case $was in
        inactive | failed)
            systemctl stop "$name" || broken="$broken $name"
            systemctl reset-failed "$name" 2>/dev/null
            ;;
        *)
            if ! restart "$name" || ! active "$name"; then broken="$broken $name"; fi
            ;;
        esac
    done <"$dir/previous"
    [ -z "$broken" ]
}

# go_back REASON: put the previous release back, and leave word of it. Fails if
# something is not as it was.
go_back() {
    if restore; then rm -f "$dir/stuck" "$dir/begun"; else put "$dir/stuck" "not as before:$broken"; fi
    ledger reverted
    disarm
    put "$dir/reverted" "$1"
    [ -z "$broken" ]
}

# unconfirm: going back from a release that is confirmed here, but not on every
# target. What confirm.sh wrote down as live before is live again.
unconfirm() {
    mv "$dir/confirmed" "$dir/confirmed.$(date +%s)"
    before=$(cat "$dir/before" 2>/dev/null)
    if [ -n "$before" ]; then
        ln -sfn "$before" "$state/live.new" && mv -fT "$state/live.new" "$state/live"
    else
        rm -f "$state/live"
    fi
    sync "$state"
}

# --- the timers -----------------------------------------------------------

# arm VERB SECONDS ARGUMENT: run this script with that verb then. Without
# systemd nothing can call it off; so the verbs look for themselves whether
# what they were armed for still stands.
arm() {
    if [ -n "$systemd" ]; then
        systemd-run --quiet --collect --unit="rel-$1-$app-$id" --on-active="$2" --timer-property=AccuracySec=1s \
            --setenv=PATH="$PATH" /bin/sh "$dir/apply.sh" "$1" "$dir" "$3"
    else
        # shellcheck disable=SC2016 # the inner shell expands them
        setsid /bin/sh -c 'sleep "$1"; exec /bin/sh "$3/apply.sh" "$2" "$3" "$4"' "rel-$1-$app-$id" "$2" "$1" "$dir" "$3" \
            </dev/null >/dev/null 2>&1 9>&- &
    fi
}

call_off() { # verb
    [ -z "$systemd" ] || systemctl stop "rel-$1-$app-$id.timer" 2>/dev/null
}

disarm() {
    rm -f "$dir/armed"
    call_off guard
    call_off expire
}

# --- the units ------------------------------------------------------------

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
    if go_back "$2"; then result reverted "$1" "$2"; fi
    result stuck "$1" "$2; not as before:$broken"
}

apply() {
    began=$(date +%s)
    link=$(changed)
    [ -z "$link" ] || refuse "$link was changed since verify"
    target=$(field link | while IFS=$tab read -r _ target; do [ -x "$target" ] || printf '%s\n' "$target"; done | sed 1q)
    [ -z "$target" ] || refuse "there is no executable $target"
    remember || refuse "cannot write down the way back"
    { field link >"$dir/links.now" && field unit >"$dir/units.now"; } || refuse "cannot write to $dir"
    # What an attempt that was killed left armed would be in the way.
    disarm
    # The guard is for the death of this job; the confirm window begins after it.
    if [ "$confirm" -gt 0 ]; then arm guard 1800 "$attempt" || refuse "cannot arm the revert timer"; fi
    put "$dir/begun" "$attempt" || refuse "cannot write to $dir"
    # Nix does not sync what it copies: without this a power cut could leave a
    # link to a binary that is valid, and empty.
    sync -f /nix/store 2>/dev/null || sync
    while IFS=$tab read -r link target; do
        point "$link" "$target" || give_up "" "cannot repoint $link"
        say "$link -> $target"
    done <"$dir/links.now"
    while read -r unit; do
        say "restarting $unit"
        restart "$unit" || give_up "$unit" "$unit did not start"
        active "$unit" || give_up "$unit" "$unit is not active"
    done <"$dir/units.now"
    steady
    ledger applied
    # The window's timer first, then the guard: there is none without one.
    if [ "$confirm" -gt 0 ]; then
        deadline=$(($(date +%s) + confirm))
        if ! put "$dir/armed" "$deadline" || ! arm expire "$confirm" "$deadline"; then
            give_up "" "cannot arm the revert timer"
        fi
    fi
    call_off guard
    result applied "" ""
}

# refuse TEXT: nothing was changed; unless an earlier attempt, that was killed,
# had begun.
refuse() {
    [ ! -e "$dir/begun" ] || result stuck "" "$1; an earlier attempt had begun"
    result refused "" "$1"
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
    if [ -e "$dir/reverted" ] && [ ! -e "$dir/stuck" ]; then
        outcome revert.json reverted "" "$(sed 1q "$dir/reverted")"
    elif [ ! -e "$dir/begun" ]; then
        outcome revert.json untouched "" ""
    fi
    say "going back: $1"
    if [ -e "$dir/confirmed" ] && [ "$(basename "$(at "$state/live")")" = "$id" ]; then unconfirm; fi
    if go_back "$1"; then
        [ -z "$foreign" ] || outcome revert.json foreign "" "another release is live"
        outcome revert.json reverted "" "$1"
    fi
    outcome revert.json stuck "" "not as before:$broken"
}

# Children inherit the lock's descriptor, and a daemon among them would hold it
# for ever; systemctl and systemd-run start theirs elsewhere. Who looks whether
# it is free holds it for an instant, so even an apply waits a little.
exec 9>"$state/apply.lock"
# sign: say who has the lock, for those who find it taken.
sign() { printf '%s %s\n' "$id" "$verb" >"$state/apply.who"; }
case $verb in
apply)
    flock -w 10 9 || refuse "another apply is running"
    sign
    apply
    ;;
revert)
    flock -w 1200 9 || exit 1
    sign
    revert "$3"
    ;;
guard)
    flock -w 1200 9 || exit 1
    if [ -e "$dir/result.json" ] || [ "$attempt" != "$3" ]; then exit 0; fi
    sign
    revert "the apply died"
    ;;
expire)
    flock -w 1200 9 || exit 1
    if [ -e "$dir/confirmed" ] || [ "$(cat "$dir/armed" 2>/dev/null)" != "$3" ]; then exit 0; fi
    sign
    revert "not confirmed within ${confirm}s"
    ;;
esac
