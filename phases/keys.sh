# What the scripts share that change who may log in here. It comes after target.sh;
# LOGIN is the user. Without their keys nobody might get in again: nothing here counts
# on set -e, which is off wherever the outcome is asked for.

# A line of ours ends in a comment that says so: "rel-one-use", the app, the promotion,
# and "new" if the file was made for it. The others stay as they are, byte for byte.
ours=" rel-one-use $APP "

# candidates: the files in which sshd looks for LOGIN's keys, when it is called from
# FROM at PORT. Fails if it does not say.
candidates() {
    at=${SSH_CONNECTION:-x x 127.0.0.1 x}
    at=${at#* * }
    PATH=$PATH:/usr/sbin:/run/current-system/sw/bin sshd -T \
        -C "user=$LOGIN,host=${FROM:-localhost},addr=${FROM:-127.0.0.1},laddr=${at%% *},lport=$PORT" 2>/dev/null |
        sed -n 's/^authorizedkeysfile //p' | grep .
}

# find_keys: the one of them that can be changed, in keys; where nothing has to be
# made for it, first. Fails if there is none.
find_keys() {
    home=$(getent passwd "$LOGIN" | cut -d: -f6)
    [ -d "$home" ] || return 1
    keys=
    spare=
    set -f
    for name in $(candidates); do
        name=$(printf '%s\n' "$name" | sed "s|%h|$home|g; s|%u|$LOGIN|g; s|%%|%|g")
        case $name in none) continue ;; /*) ;; *) name=$home/$name ;; esac
        # One that is a link was put there by something that will put it there again.
        if [ -f "$name" ] && [ ! -L "$name" ] && [ -w "$name" ]; then
            keys=$name && break
        fi
        [ -e "$name" ] || [ -L "$name" ] || case $name in "$home"/*) spare=${spare:-$name} ;; esac
    done
    set +f
    [ -n "${keys:=$spare}" ]
}

# lock_keys: one at a time changes them.
lock_keys() {
    exec 7<"$(dirname "$keys")" && flock -w 30 7 7>&7 || return 1
    rm -f "$keys".rel-??????
}

# replace_keys COMMAND...: what it prints is the file from now on, with the owner and
# the mode that it had; or nothing is changed. A power cut leaves one or the other.
replace_keys() {
    was=$(cksum "$keys" 2>/dev/null || true)
    fresh=$(mktemp "$keys.rel-XXXXXX") || return 1
    if if [ -e "$keys" ]; then cp -a "$keys" "$fresh"; else chown "$LOGIN" "$fresh"; fi &&
        "$@" >"$fresh" && sync "$fresh" &&
        # Somebody else may have added theirs meanwhile.
        [ "$(cksum "$keys" 2>/dev/null || true)" = "$was" ] && mv -f "$fresh" "$keys"; then
        sync "$(dirname "$keys")"
        return 0
    fi
    rm -f "$fresh"
    say "$keys could not be changed, and is as it was"
    return 1
}

# forget PATTERN: take our lines away that match, and the file if it was made for them.
forget() {
    grep -q "$1" "$keys" 2>/dev/null || return 0
    made=$(sed -n "/$1/s/.* //p" "$keys" | grep -x new || true)
    if [ -n "$made" ] && ! grep -qv "$1" "$keys"; then
        rm -f "$keys"
    else
        replace_keys sed "/$1/d" "$keys"
    fi
}

# withdraw DIR PATTERN: take the lines that match out of the file that the promotion in
# DIR had its key in.
withdraw() {
    keys=$(cat "$1/lent" 2>/dev/null) && [ -d "$(dirname "$keys")" ] || return 0
    lock_keys && forget "$2" && rm -f "$1/lent"
    withdrawn=$?
    exec 7<&-
    return "$withdrawn"
}

# withdraw_all: take all of ours away, such as a copy leaves that was killed. Whoever
# holds this target is the only one who copies to it.
withdraw_all() {
    failed=0
    for lent in "$state"/releases/*/lent; do
        [ ! -e "$lent" ] || withdraw "$(dirname "$lent")" "$ours" || failed=1
    done
    return "$failed"
}
