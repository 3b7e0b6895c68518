# What puts the previous release back when nobody else does: the guard, if the
# job dies; expire, when the confirm window ends; boot, after a restart of the
# machine, which ends the other two.

# arm VERB SECONDS: run the job's script with that verb then. Without
# systemd nothing can call it off; so the verbs look for themselves whether what
# they were armed for still stands.
arm() {
    if [ -d /run/systemd/system ]; then
        systemd-run --quiet --collect --unit="rel-$1-$APP-$ID-$(now)" --on-active="$2" \
            --timer-property=AccuracySec=1s --setenv=PATH="$PATH" \
            /bin/sh "$dir/apply.sh" "$1" "$APP" "$ID"
    else
        # shellcheck disable=SC2016 # the inner shell expands them
        setsid /bin/sh -c 'sleep "$1" && shift && exec /bin/sh "$@"' "rel-$1-$APP-$ID" \
            "$2" "$dir/apply.sh" "$1" "$APP" "$ID" </dev/null >/dev/null 2>&1 8>&- 9>&- &
    fi
}

call_off() { # verb
    [ ! -d /run/systemd/system ] || systemctl stop "rel-$1-$APP-$ID-*.timer" 2>/dev/null || true
}

# open_window SECONDS: nobody confirms by then, and the release goes back.
open_window() { put "$dir/armed" "$(boot) $(($(now) + $1))" && arm expire "$1"; }

# disarm: the release stays as it is.
disarm() {
    rm -f "$dir/armed"
    call_off guard
    call_off expire
    forget "$ID"
}

# forget ID: the promotion is nothing to look at after a restart.
forget() {
    unit=$units/rel-boot-$APP-$1
    rm -f "$units/timers.target.wants/rel-boot-$APP-$1.timer" "$unit.timer" "$unit.service"
}

units=/etc/systemd/system

# outlast: have the verb boot run after a restart of the machine. Where unit
# files cannot be written, as on NixOS, nothing can; look.sh then says so.
outlast() {
    if [ ! -d /run/systemd/system ] || [ ! -w "$units" ]; then return 0; fi
    unit=$units/rel-boot-$APP-$ID
    put "$unit.service" "[Unit]
Description=Put the previous release of $APP back, unless $ID is confirmed
[Service]
Type=oneshot
Environment=\"PATH=$PATH\"
ExecStart=/bin/sh $dir/apply.sh boot $APP $ID" &&
        put "$unit.timer" "[Unit]
Description=After a restart, look whether $ID of $APP is confirmed
[Timer]
OnActiveSec=1s
AccuracySec=1s" &&
        mkdir -p "$units/timers.target.wants" && sync "$units" &&
        ln -sfn "../rel-boot-$APP-$ID.timer" "$units/timers.target.wants/rel-boot-$APP-$ID.timer" &&
        sync "$units/timers.target.wants"
}
