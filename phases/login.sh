# What the scripts share that log in at a target with the lent key. It comes after weave.sh.
#
# In: KEY (the lent one), LOGIN, ADDRESS, PORT, HOSTKEY (the target's; each key its type and
# base64), MARK (a word that nobody else knows). What they tell is on standard error, in
# lines that begin with MARK.

# dd ends its lines where the next begins. Through cat, which writes it at once, where the
# shell would not.
tell() { printf '\n%s %s\n' "$MARK" "$*" | cat >&2; }

# ready_login: the options of ssh, in options. Nothing of this host's own configuration,
# keys or known hosts: it logs in at the one host that has this key, or nowhere.
ready_login() {
    [ -S "${SSH_AUTH_SOCK:-}" ] || { echo "no agent was forwarded here" >&2 && exit 1; }
    : >"$work/log"
    printf '%s\n' "$KEY" >"$work/key"
    printf 'target %s\n' "$HOSTKEY" >"$work/known"
    algorithms=${HOSTKEY%% *}
    [ "$algorithms" != ssh-rsa ] || algorithms=rsa-sha2-512,rsa-sha2-256
    options="-F none -E $work/log -T -a -x -p $PORT -l $LOGIN"
    for option in BatchMode=yes ClearAllForwardings=yes LogLevel=ERROR IdentitiesOnly=yes IdentityFile="$work/key" \
        PreferredAuthentications=publickey ControlMaster=no ControlPath=none HostKeyAlias=target HostKeyAlgorithms="$algorithms" \
        StrictHostKeyChecking=yes UpdateHostKeys=no CheckHostIP=no UserKnownHostsFile="$work/known" GlobalKnownHostsFile=/dev/null \
        ConnectTimeout=10 ConnectionAttempts=1 ServerAliveInterval=5 ServerAliveCountMax=3; do
        options="$options -o $option"
    done
}

# until_unwanted COMMAND...: run it, and end it when the input ends, which is descriptor 5:
# nobody wants it any more, and what feeds it ends with it. The rows are the beginning of the
# input; until $work/taken is there somebody else reads them.
until_unwanted() {
    exec 4<&0
    "$@" <&4 >&6 5<&- &
    wanted=$!
    {
        while [ -d "$work" ] && [ ! -e "$work/taken" ]; do sleep 0.1 || sleep 1; done
        cat <&5 && kill "$wanted"
    } >/dev/null 2>&1 4<&- 6>&- &
    watch=$!
    status=0
    wait "$wanted" || status=$?
    kill "$watch" 2>/dev/null || true
    tell "ssh=$status"
    while IFS= read -r line; do tell "said=$line"; done <"$work/log"
}
