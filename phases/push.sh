# Send store paths to a target from here, with the key that is lent for it.
#
# In: ACCEPT, as export.sh; KEY (the lent one), LOGIN, ADDRESS, PORT, HOSTKEY (the
# target's; each key its type and base64); store paths, and the last line. The input ends when nobody wants it any more.
# Out: ssh=<its status> said=<its own words> export=<the status of nix-store>; on standard
# error, what dd says of the bytes that are sent.
set -eu
log=$(mktemp /tmp/.rel-XXXXXX)
key=$(mktemp /tmp/.rel-XXXXXX)
trap 'rm -f "$log" "$key"' EXIT
trap 'exit 143' HUP INT TERM PIPE
printf '%s\n' "$KEY" >"$key"
paths=$(sed '/^# end$/q')
case $paths in *"# end") paths=${paths%?# end} ;; *) echo "the list of paths broke off" >&2 && exit 1 ;; esac
[ -S "${SSH_AUTH_SOCK:-}" ] || { echo "no agent was forwarded here" >&2 && exit 1; }
algorithms=${HOSTKEY%% *}
[ "$algorithms" != ssh-rsa ] || algorithms=rsa-sha2-512,rsa-sha2-256

export_all() {
    echo "$filter"
    {
        status=0
        printf '%s\n' "$paths" | xargs nix-store --export || status=$?
        echo "export=$status" >&3
    } | pack
}
# Each second it says how far it is, where dd can do that.
meter() {
    progress=
    ! dd if=/dev/null status=progress 2>/dev/null || progress=status=progress
    dd bs=64k $progress
}
# Nothing of this host's own configuration, keys or known hosts: it logs in at the one
# host that has this key, or nowhere.
login() {
    exec ssh -F none -E "$log" -T -a -x -p "$PORT" -l "$LOGIN" -o BatchMode=yes -o ClearAllForwardings=yes -o LogLevel=ERROR \
        -o IdentitiesOnly=yes -o IdentityFile="$key" -o PreferredAuthentications=publickey -o ControlMaster=no -o ControlPath=none \
        -o HostKeyAlias=target -o HostKeyAlgorithms="$algorithms" -o StrictHostKeyChecking=yes -o UpdateHostKeys=no \
        -o UserKnownHostsFile=/dev/null -o GlobalKnownHostsFile=/dev/null -o KnownHostsCommand="/bin/sh -c 'echo target $HOSTKEY'" \
        -o ConnectTimeout=10 -o ConnectionAttempts=1 -o ServerAliveInterval=5 -o ServerAliveCountMax=3 \
        -- "$ADDRESS" receive
}
# The ssh that is not wanted any more is ended, and with it what feeds it.
until_unwanted() {
    exec 4<&0
    login <&4 >/dev/null 3>&- 5<&- &
    ssh=$!
    { cat <&5 && kill "$ssh"; } >/dev/null 2>&1 3>&- 4<&- &
    watch=$!
    status=0
    wait "$ssh" || status=$?
    kill "$watch" 2>/dev/null || true
    { echo "ssh=$status" && sed 's/^/said=/' "$log"; } >&3
}
exec 5<&0
{ export_all | meter | until_unwanted; } 3>&1
