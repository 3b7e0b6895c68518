package remote

import (
	"bytes"
	"fmt"
	"time"
)

// bootstrap is the one command that is ever sent: the same for every script,
// so that nothing in a script or its data is read by the login shell, be it
// fish or csh. It first says that it is ready, and whose it is, and is sent nothing
// before it does: a profile that reads its input, or sudo, would take it. Then it takes
// the runner from its input. TMOUT would end a shell that waits.
//
// The folders before PATH are where NixOS and Nix put what a login that runs
// no profile does not find.
const bootstrap = `/bin/sh -c '` +
	`PATH=/run/wrappers/bin:/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin:$HOME/.nix-profile/bin:` +
	`$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; LC_ALL=C; export PATH LC_ALL; ` +
	`unset ENV BASH_ENV CDPATH TMOUT; rel=$(id -u); ! command -v gzip >/dev/null 2>&1 || rel=$((rel + 4294967296)); ` +
	`[ "$(echo ab | { head -c 1; read -r b; echo "$b"; })" = ab ] || rel=$((rel + 8589934592)); ` +
	`echo "` + readyWord + `$rel"; ` +
	`IFS= read -r rel && eval "$rel"'`

// runner is the rest of the bootstrap, and goes ahead of the first script. For each
// script it reads a nonce and the size of the script's own input, and repeats the nonce
// on both its outputs, which ends whatever was printed there before. Then come
// the environment, one NAME=value a line up to an empty one, the size and the text
// of the code, and that input: read takes it byte by byte, and coreutils'
// head no more than it is asked for (busybox's does; the bootstrap looks). Before the size stand the parts that the code begins
// with, if there are any, each with a line that names it, and has its size, and its text; the shell keeps
// them, and of one that it has there is but the name. Behind the size of what is packed with gzip stands
// that which it has so. A script that arrives in part, since the connection
// was cut, is not run at all: the shell would run its lines up to there. (The full stop
// keeps the newlines at its end, which the shell would take off; sizes are in bytes in
// the C locale.)
//
// With - or +, the script has the session and the rest of its input to itself, and the
// status with which the session ends is its own. With one it runs in a subshell, and leaves
// nothing to the next: what it does not read is read to its end; and its outputs are
// pipes, which end when nobody has them any more, so that no child of its own speaks in
// the next one's answer. The nonce and the status are said after that. No fd but 0, 1
// and 2 is the script's, and no agent, but for a +, whose session was lent one. Where it is not known how the script ended, or its
// input did not all come, the shell ends: what is left of that input must not be taken
// for a header. A process
// more or less is what a script costs on a host that is near: where there is no input,
// none is there to pass it on.
const runner = `unset rel; ` +
	`take() { if [ -n "$2" ]; then head -c "$2" | gzip -dc; else head -c "$1"; fi; }; ` +
	`text() { text=$(take "$1" "$2"; echo .); ` +
	`[ "${#text}" -eq $(($1 + 1)) ] || { echo "the script broke off" >&2; exit 255; }; text=${text%.}; }; ` +
	`load() { code=; while IFS=" " read -r part size packed; do case $part in ` +
	`[0-9]*) text "$part" "$size"; code=$code$text; return;; esac; ` +
	`[ -z "$size" ] || { text "$size" "$packed"; eval "$part=\$text"; }; eval "code=\$code\$$part"; ` +
	`done; echo "the script broke off" >&2; exit 255; }; ` +
	`exec 3>&1 4>&2; ` +
	`while IFS=" " read -r nonce input packing; do printf "%s\n" "$nonce"; printf "%s\n" "$nonce" >&2; ` +
	`[ "$input" = + ] || unset SSH_AUTH_SOCK; ` +
	`set --; while IFS= read -r pair && [ -n "$pair" ]; do set -- "$@" "$pair"; done; load; ` +
	`case $input in [-+]) exec 3>&- 4>&-; [ $# -eq 0 ] || export "$@"; set --; eval "$code"; exit;; esac; ` +
	// The pipes are given with exec: a shell keeps a copy of what it changes for a group.
	`status=$({ { { exec 2>&1 >&6 3>&- 4>&- 6>&-; [ $# -eq 0 ] || export "$@"; set --; ` +
	`if [ "$input" = 0 ]; then (exec 5>&- </dev/null; eval "$code"); echo "$?" >&5; ` +
	`else { take "$input" "$packing" || echo no >&5; } | { (exec 5>&-; eval "$code"); echo "$?" >&5; exec >/dev/null 2>&1 5>&-; cat; }; fi; ` +
	`} | cat >&4; } 6>&1 | cat >&3; } 5>&1); ` +
	`case $status in ""|*[!0-9]*) exit 255;; esac; ` +
	`printf "%s %s\n" "$nonce" "$status"; printf "%s %s\n" "$nonce" "$status" >&2; done` + "\n"

// readyWord says that the bootstrap waits for its input; the user's number goes with
// it, 2^32 more where there is gzip, and 2^33 more where head is not the one that the runner wants. A profile that prints it too only has the first script sent earlier.
const readyWord = "rel-ready "

const (
	// greetingCap is the most a profile may print before the script begins.
	greetingCap = 64 << 10
	// greetingTimeout is how long a login shell, its profile and sudo may take to
	// get to the script: as long as everything else that runs nothing of ours, and
	// what is not ours may look a name up in vain.
	greetingTimeout = time.Minute
)

// greeting is what a profile printed on standard output, up to its cap.
type greeting struct{ bytes.Buffer }

// Write fails where the cap is passed.
func (g *greeting) Write(b []byte) (int, error) {
	if g.Len()+len(b) > greetingCap {
		return 0, shellStop(fmt.Sprintf("printed more than %d KiB, and did not get to the script", greetingCap>>10))
	}
	return g.Buffer.Write(b)
}
