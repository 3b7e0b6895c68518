# What the job does: its verbs.

field() { rows "$dir/job" "$1"; }
attempt=$(field attempt)
confirm=$(field confirm)
settle=$(field settle)
epoch=$(field epoch)

# outcome FILE RESULT UNIT TEXT: how it ended. Without room for it there is none,
# and who waits for it learns that the job was lost.
outcome() {
    text=$(printf '%s' "$4" | tr -d '"\\\000-\037')
    put "$dir/$1" "{\"attempt\":$attempt,\"result\":\"$2\",\"unit\":\"$3\",\"text\":\"$text\"}" || exit 1
    say "result: $2${text:+: $text}"
    exit 0
}

# result RESULT UNIT TEXT, where RESULT is applied, refused, reverted or stuck.
result() { outcome result.json "$@"; }

# go_back REASON: put the previous release back, and leave word of it. Fails if
# something is not as it was.
go_back() {
    if restore; then
        rm -f "$dir/stuck" "$dir/begun"
    else
        put "$dir/stuck" "not as before:$broken"
        put "$dir/begun" stuck
    fi
    unpublish
    ledger reverted "$(field ledger)"
    put "$dir/reverted" "$1"
    disarm
    [ -z "$broken" ]
}

# unpublish: what other scripts read is again what was live before.
unpublish() {
    [ -e "$dir/manifest.path" ] || return 0
    manifest=$(cat "$dir/manifest.path")
    if [ -e "$dir/manifest.before" ]; then
        publish "$dir/manifest.before" "$manifest"
    else
        rm -f "$manifest"
    fi
    rm -f "$dir/manifest.path"
}

# unconfirm: going back from a release that is confirmed here, but not on every
# target. What confirm.sh wrote down as live before is live again.
unconfirm() {
    before=$(cat "$dir/before" 2>/dev/null)
    if [ "$(live)" != "$ID" ]; then
        :
    elif [ -n "$before" ]; then
        ln -sfn "$before" "$state/live.new" && mv -fT "$state/live.new" "$state/live"
    else
        rm -f "$state/live"
    fi
    mv "$dir/confirmed" "$dir/confirmed.$(date +%s)"
    unpublish
    # And so are the marks of the releases that were rolled back.
    for mark in "$state"/releases/*/left; do
        if grep -qsxF "$ID" "$mark"; then rm -f "$mark"; fi
    done
    for mark in "$state"/releases/*/"left.$ID" "$state"/releases/*/"begun.$ID"; do
        [ ! -e "$mark" ] || mv "$mark" "${mark%."$ID"}"
    done
    sync "$state"
}

# give_up UNIT TEXT: say what the unit said, and put the previous release back.
give_up() {
    say "$2"
    [ -z "$1" ] || journalctl --no-pager --quiet --since="@$began" --lines=30 --output=cat --unit="$1" >&2
    say "putting the previous release back"
    if go_back "$2"; then result reverted "$1" "$2"; fi
    result stuck "$1" "$2; not as before:$broken"
}

# refuse TEXT: nothing was changed. If an earlier attempt had begun, and died,
# there is no going on from what it left: the previous release is put back.
refuse() {
    if unfinished "$dir" && [ -z "$(overtaken)" ]; then give_up "" "$1; an earlier attempt had begun"; fi
    result refused "" "$1"
}

# permitted: refuse what this target is no longer, or not yet, right for.
permitted() {
    [ "$epoch" -ge "$(highest)" ] || refuse "another promotion has taken this target over"
    expected "$(field live)" || refuse "${live:-nothing} is live since verify"
    other=$(waiting)
    [ -z "$other" ] || refuse "promotion $other is not confirmed yet"
    link=$(changed)
    [ -z "$link" ] || refuse "$link was changed since verify"
    fault=$(unfit)
    [ -z "$fault" ] || refuse "$fault"
}

# begin: from here on links may be switched. Whoever takes the target over waits for
# this, and then finds it begun; or it finds that they have, and does not begin.
begin() (
    exec 8>"$state/epoch.lock"
    flock -s -w 120 8 8>&8 || exit 1
    [ "$epoch" -ge "$(highest)" ] || exit 2
    # Of the releases here it comes last from now on, whenever it was sent.
    { [ -e "$dir/confirmed" ] || put "$dir/epoch" "$epoch $ID"; } && put "$dir/begun" "$attempt"
)

apply() {
    began=$(date +%s)
    permitted
    # How an earlier attempt ended; kept under other names.
    for old in reverted armed stuck; do
        [ ! -e "$dir/$old" ] || mv "$dir/$old" "$dir/$old.$began"
    done
    # Nix does not sync what it copies: without this a power cut could leave a
    # link to a binary that is valid, and empty.
    sync -f /nix/store 2>/dev/null || sync
    remember || refuse "cannot write down the way back"
    { field link >"$dir/links.now" && field unit >"$dir/units.now"; } || refuse "cannot write to $dir"
    # The guard is for the death of this job; the confirm window begins after it.
    if [ "$confirm" -gt 0 ]; then
        { outlast && arm guard 1800; } || refuse "cannot arm the revert timer"
    fi
    begin
    case $? in
    0) ;;
    2) refuse "another promotion has taken this target over" ;;
    *) refuse "cannot write to $dir" ;;
    esac
    while IFS=$tab read -r link target; do
        point "$link" "$target" || give_up "" "cannot repoint $link"
        say "$link -> $target"
    done <"$dir/links.now"
    while read -r unit; do
        say "restarting $unit"
        restart "$unit" || give_up "$unit" "$unit did not start"
        active "$unit" || give_up "$unit" "$unit is not active"
    done <"$dir/units.now"
    say "attempt $attempt: every unit is up; watching for ${settle}s whether that stays so"
    steady "$(field unit)" || give_up "$faulty" "$faulty did not stay up for ${settle}s"
    unit=$(stale)
    [ -z "$unit" ] || give_up "$unit" "$unit still runs the previous binary"
    put "$dir/begun" applied || give_up "" "cannot write to $dir"
    ledger applied "$(field ledger)"
    # The window first, then the guard: there is no instant without either.
    if [ "$confirm" -gt 0 ]; then open_window "$confirm" || give_up "" "cannot arm the revert timer"; fi
    call_off guard
    result applied "" ""
}

revert() { # reason
    by=$(overtaken)
    if [ -n "$by" ]; then
        disarm
        [ -e "$dir/begun" ] || outcome revert.json untouched "" ""
        outcome revert.json foreign "" "$by came after it"
    fi
    if [ -e "$dir/confirmed" ]; then unconfirm; fi
    if [ ! -e "$dir/begun" ]; then
        disarm
        [ ! -e "$dir/reverted" ] || outcome revert.json reverted "" "$(sed 1q "$dir/reverted")"
        outcome revert.json untouched "" ""
    fi
    say "going back: $1"
    if go_back "$1"; then
        [ -z "$foreign" ] || outcome revert.json foreign "" "another release is live"
        outcome revert.json reverted "" "$1"
    fi
    outcome revert.json stuck "" "not as before:$broken"
}

# expire: the window may have been put off since the timer was armed, or be put
# off while this waits for the lock.
expire() {
    while rest=$(left "$dir"); do
        if [ "$rest" -gt 0 ]; then sleep "$rest" && continue; fi
        lock 1200 || { sleep 1 && continue; }
        rest=$(left "$dir") || exit 0
        if [ -e "$dir/confirmed" ] && [ "$(live)" = "$ID" ]; then disarm && exit 0; fi
        [ "$rest" -gt 0 ] || revert "not confirmed within ${confirm}s"
        exec 9>&-
    done
}

# restarted: the machine was, and its timers are gone. A release that is wholly
# applied gets a new window: whoever promotes it may still be there.
restarted() {
    if [ ! -e "$dir/begun" ] || { [ -e "$dir/confirmed" ] && [ "$(live)" = "$ID" ]; }; then disarm && exit 0; fi
    if [ ! -e "$dir/armed" ] || [ -n "$(overtaken)" ]; then revert "the machine was restarted during the apply"; fi
    open_window "$confirm" || revert "the machine was restarted in the confirm window"
}

# lock SECONDS: wait for the others, and say who has it now. Children inherit
# the lock's descriptor, and a daemon among them would hold it for ever;
# systemctl and systemd-run start theirs elsewhere.
lock() {
    exec 9>"$state/apply.lock"
    flock -w "$1" 9 9>&9 || return 1
    # Without room for that it goes on all the same.
    printf '%s %s\n' "$ID" "$verb" 2>/dev/null >"$state/apply.who" || true
}

# busy: another job has the lock. If it is of this promotion, what came of it is
# for that job to say.
busy() {
    read -r who doing <"$state/apply.who"
    say "the $doing of promotion $who is running"
    [ "$who" != "$ID" ] || exit 1
    result refused "" "the $doing of promotion $who is running"
}

case $verb in
apply)
    # Who looks whether it is free holds it for an instant, so even an apply waits.
    lock 10 || busy
    apply
    ;;
revert)
    lock 1200 || exit 1
    revert "$argument"
    ;;
guard)
    lock 1200 || exit 1
    if [ -e "$dir/armed" ] || ! unfinished "$dir"; then exit 0; fi
    revert "the apply died"
    ;;
boot)
    lock 1200 || exit 1
    restarted
    ;;
expire) expire ;;
esac
