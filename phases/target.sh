# What the scripts share that work in an app's folder on a target. It comes
# before them; APP and ID (the promotion) are set. A ksh keeps descriptors that exec has
# opened to itself: flock is handed its own.
umask 077
tab=$(printf '\t')
state=/var/lib/rel/$APP
# shellcheck disable=SC2034 # not every script needs it
dir=$state/releases/$ID

say() { printf '%s\n' "$*" >&2; }

# put FILE TEXT: the file appears with this text, whole, and stays.
put() {
    printf '%s\n' "$2" >"$1.new" && sync "$1.new" && mv -f "$1.new" "$1" && sync "$(dirname "$1")"
}

# whole FILE: whether what was sent has arrived to its last line. A connection that is
# cut ends the input as its end does.
whole() { [ "$(tail -n 1 "$1")" = "# end" ] || { say "what was sent for $1 broke off" && return 1; }; }

# rows FILE KIND: what follows the kind in the rows of that kind.
rows() { sed -n "s/^$2$tab//p" "$1"; }

# at LINK: what it points at; nothing if it is not there.
at() { readlink "$1" || true; }

# content DIR: what tells the release in DIR from others: where its links lead.
content() { rows "$1/release" link 2>/dev/null | sort | cksum | cut -d' ' -f1; }

# epoch ID: the number of a promotion that came to this target: whoever came last
# has the highest. Their ids begin with the times of clocks that may differ.
epoch() { sed -n 's/ .*//p' "$state/releases/$1/epoch" 2>/dev/null | grep . || echo 0; }

# earlier ONE OTHER: whether the one came to this target before the other.
earlier() { [ "$(epoch "$1")" -lt "$(epoch "$2")" ]; }

# pin ID: keep the collector from what the promotion consists of. The collector
# reads the roots as whoever it runs as.
pin() {
    roots=/nix/var/nix/gcroots/rel/$APP/$1
    (umask 022 && mkdir -p "$roots")
    rows "$state/releases/$1/release" root | while IFS=$tab read -r name path; do ln -sfn "$path" "$roots/$name"; done
}

# live: the promotion that is live and confirmed; nothing before there is one.
live() { basename "$(at "$state/live")"; }

# expected WAS: whether live is what verify saw, or this very release, whoever has
# made it live since. live is set.
expected() {
    live=$(live)
    [ "$live" = "$1" ] || [ "$live" = "$ID" ] || { [ -n "$live" ] && [ "$(content "$state/live")" = "$(content "$dir")" ]; }
}

# now: seconds since the machine came up. No clock that is set moves it.
now() { cut -d. -f1 /proc/uptime; }

# boot: what tells this boot of the machine from every other.
boot() { cat /proc/sys/kernel/random/boot_id; }

# left DIR: how many seconds are left of the confirm window of the promotion in
# DIR. Fails if it has none, or has it from before the machine was restarted.
left() {
    { read -r when deadline <"$1/armed"; } 2>/dev/null || return 1
    [ "$when" = "$(boot)" ] || return 1
    echo $((deadline - $(now)))
}

# holding: who holds this target, in h_ and the names below; fails if no one does. A
# hold is a symlink whose text is the hold, so that it is there whole or not at
# all: its epoch, the promotion and its phase, the boot and uptime of the last
# heartbeat, since when, and the operator's key and name.
holding() {
    h_epoch=
    text=$(readlink "$state/hold") || return 1
    IFS='|' read -r h_epoch h_id h_phase h_boot h_beat h_since h_key h_operator <<EOT
$text
EOT
    # One from before a restart has as long from there.
    h_age=$(now)
    [ "$h_boot" = "$(boot)" ] || return 0
    # One that is no number, or of the future, was not written by us.
    case $h_beat in '' | *[!0-9]* | 0?* | ???????????*) return 0 ;; esac
    [ "$h_beat" -gt "$h_age" ] || h_age=$((h_age - h_beat))
}

# holder KEY: the answer that says who holds the target.
holder() {
    holding || { printf '%s=\n' "$1" && return; }
    # Not echo: that of some shells reads what follows a backslash.
    printf '%s=%s|%s|%s|%s|%s|%s|%s\n' "$1" "$h_epoch" "$h_id" "$h_phase" "$h_age" "$h_since" "$h_key" "$h_operator"
}

# highest: the epoch that was granted last. What comes with an older one is stale:
# someone else has taken the target over since.
highest() { sed -n 's/ .*//p' "$state/epoch" 2>/dev/null | grep . || echo 0; }

# fence: end here, with the answer fenced=, if EPOCH is stale. If not, none is
# granted until this script has ended, or has closed the descriptor.
fence() {
    # Where nothing was ever granted there is nothing to be stale against.
    [ -d "$state" ] || return 0
    exec 8>"$state/epoch.lock"
    flock -s -w 120 8 8>&8 || { say "nobody can tell who may change this target: epoch.lock is not free" && exit 1; }
    if [ "${EPOCH:-0}" -lt "$(highest)" ]; then holder fenced && exit 0; fi
}

# unfinished DIR: whether the promotion in DIR may have switched links here, and
# is neither confirmed nor wholly taken back nor left as it is on purpose.
unfinished() {
    [ -e "$1/armed" ] || { [ -e "$1/begun" ] && [ ! -e "$1/confirmed" ] && ! grep -qx applied "$1/begun"; }
}

# publish FROM TO: what other scripts read appears whole.
publish() {
    written=$(mktemp "$2.XXXXXX") || return 1
    if cat "$1" >"$written" && chmod 0644 "$written" && mv -f "$written" "$2"; then return 0; fi
    rm -f "$written"
    return 1
}

# ledger WHAT MEMBERS: one more line in the target's own record.
ledger() {
    printf '{"at":"%s","what":"%s",%s}\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$1" "$2" >>"$state/ledger.jsonl"
    sync "$state/ledger.jsonl"
}
