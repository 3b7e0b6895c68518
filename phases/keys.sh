# What the scripts share that change who may log in here. It comes after target.sh;
# LOGIN is the user.

# A line of ours ends in a comment that says so: "rel-one-use", the app, the promotion,
# and "new" if the file was made for it. The others stay as they are, byte for byte.
ours=" rel-one-use $APP "

# candidates: the files in which sshd looks for LOGIN's keys.
candidates() {
    PATH=$PATH:/usr/sbin:/run/current-system/sw/bin sshd -T \
        -C "user=$LOGIN,host=${FROM:-localhost},addr=${FROM:-127.0.0.1}" 2>/dev/null |
        sed -n 's/^authorizedkeysfile //p' | grep . || echo .ssh/authorized_keys
}

# find_keys: the one of them that can be changed, in keys; where nothing has to be
# made for it, first. Fails if there is none.
find_keys() {
    home=$(getent passwd "$LOGIN" | cut -d: -f6)
    keys=
    spare=
    set -f
    for name in $(candidates); do
        name=$(printf '%s\n' "$name" | sed "s|%h|$home|g; s|%u|$LOGIN|g; s|%%|%|g")
        case $name in /*) ;; *) name=$home/$name ;; esac
        # One that is a link was put there by something that will put it there again.
        if [ -f "$name" ] && [ ! -L "$name" ] && [ -w "$name" ]; then
            keys=$name && break
        fi
        [ -e "$name" ] || [ -L "$name" ] || case $name in "$home"/*) spare=${spare:-$name} ;; esac
    done
    set +f
    [ -d "$home" ] && [ -n "${keys:=$spare}" ]
}

# lock_keys: one at a time changes them.
lock_keys() {
    exec 7<"$(dirname "$keys")"
    flock -w 30 7
    rm -f "$keys".rel-??????
}

# sweep_keys: take all of ours away, such as a copy leaves that was killed. Whoever
# holds this target is the only one who copies to it.
sweep_keys() { ! find_keys || [ ! -e "$keys" ] || { lock_keys && forget "$ours"; }; }

# replace_keys: what comes in is the file from now on, with the owner and the mode that
# it had. A power cut leaves one or the other: without it nobody might get in.
replace_keys() {
    fresh=$(mktemp "$keys.rel-XXXXXX")
    if [ -e "$keys" ]; then cp -p "$keys" "$fresh"; else chown "$LOGIN" "$fresh"; fi
    cat >"$fresh"
    sync "$fresh"
    mv -f "$fresh" "$keys"
    sync "$(dirname "$keys")"
}

# forget PATTERN: take our lines away that match, and the file if it was made for them.
forget() {
    [ -e "$keys" ] && grep -q "$1" "$keys" || return 0
    made=$(sed -n "/$1/s/.* //p" "$keys" | grep -x new || true)
    left=$(sed "/$1/d" "$keys" | wc -c)
    if [ -n "$made" ] && [ "$left" -eq 0 ]; then
        rm -f "$keys"
    else
        sed "/$1/d" "$keys" | replace_keys
    fi
}
