package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"choir.chat/rel/remote/lab"
)

// shell makes another program the /bin/sh of hosts.
func (w *world) shell(program string, hosts ...string) {
	w.t.Helper()
	path, err := exec.LookPath(program)
	switch {
	case err != nil && os.Getenv("CI") != "":
		w.t.Fatal(err)
	case err != nil:
		w.t.Skip(err)
	}
	for _, host := range hosts {
		w.exec(host, fmt.Sprintf("ln -sfn %s /bin/sh.new && mv -fT /bin/sh.new /bin/sh", path))
		if got := w.exec(host, "readlink -f /proc/$$/exe; :"); !strings.Contains(got, program) {
			w.t.Fatalf("/bin/sh of %s is %s", host, got)
		}
	}
}

// everyApplet is what busybox has of the programs that rel's scripts run, but for head: of
// that one it says itself that it will not do.
const everyApplet = `for applet in awk base64 basename cat chmod cmp cp cut date dd df dirname find grep gzip id ln ls mkdir mktemp mv \
	readlink rm sed setsid sha256sum sleep sort stat sync tail tee timeout touch tr uniq wc xargs; do
	busybox --list | grep -qx $applet && ln -s "$(command -v busybox)" /usr/local/bin/$applet; done; command -v sed`

// TestHostShells: hosts whose /bin/sh is bash, busybox's or a ksh; with busybox's own
// programs before all others; and what of those rel cannot do with is named, with
// nothing changed.
func TestHostShells(t *testing.T) {
	w := newWorld(t, 1)
	w.shell("bash", "choiros-prod", w.BuildHost())
	w.must(exitOK, "start")
	w.must(exitOK, "doctor")

	w.shell("busybox", "choiros-prod", w.BuildHost())
	for _, host := range []string{"choiros-prod", w.BuildHost()} {
		if got := w.exec(host, everyApplet); strings.TrimSpace(got) != "/usr/local/bin/sed" {
			t.Fatalf("%s runs %s", host, got)
		}
	}
	w.rewrite("[build]", "[copy]\nvia = \"direct\"\n\n[build]")
	w.bump(lab.Bump{Broken: "crash"})
	w.must(exitReverted, "start")
	w.bump(lab.Bump{})
	w.must(exitOK, "start")
	w.must(exitOK, "doctor")

	unchanged := w.unchanged()
	version := w.bump(lab.Bump{})
	w.exec("choiros-prod", `printf '#!/bin/sh\n[ "$1" != -w ] || exit 1\nexec /usr/bin/flock "$@"\n' >/usr/local/bin/flock; chmod 755 /usr/local/bin/flock`)
	w.must(exitRefused, "doctor").mentions(t, "there is no flock of util-linux")
	w.must(exitFailed, "start").mentions(t, "there is no flock of util-linux here")
	w.exec("choiros-prod", `rm /usr/local/bin/flock; ln -s "$(command -v busybox)" /usr/local/bin/head`)
	for _, command := range []string{"doctor", "start"} {
		w.must(exitRefused, command).mentions(t, "head there reads more than it is told to", "apk add coreutils findutils util-linux")
	}
	w.exec("choiros-prod", "rm /usr/local/bin/head")
	unchanged()

	// It counts in 32 bits, which is too few for the bytes of a release.
	w.shell("mksh", "choiros-prod", w.BuildHost())
	w.must(exitRefused, "doctor").mentions(t, "there is no sh that counts beyond 2147483647")
	w.must(exitFailed, "start").mentions(t, "/bin/sh here does not count beyond 2147483647")
	unchanged()

	// Not where the lab builds with it: it closes its output before it has ended, and Nix
	// kills a builder that does that.
	w.shell("ksh93", "choiros-prod")
	w.shell("dash", w.BuildHost())
	w.must(exitOK, "start").mentions(t, version[:7])
	w.must(exitOK, "rollback")
	w.must(exitOK, "status")
	w.must(exitOK, "log", "--verify")
}
