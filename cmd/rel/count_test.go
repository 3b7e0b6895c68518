package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"choir.chat/rel/remote"
	"choir.chat/rel/remote/lab"
	"choir.chat/rel/remote/lab/link"
)

// What a run may cost, with one target. A round trip is one that had to wait for the
// one before it; those of the handshakes, which are link.Dial each and overlap, are
// not in it.
//
//	an exec on an open connection              2: to open a session, and to ask
//	a question to a script that is still there 1
//	a connection to a port of the host         1 to open it, 1 to ask; 2 more with TLS
const (
	// mostIdle is for a start that finds its commit live.
	mostIdle = 6
	// mostFirst is for one whose artifacts the build host sends by itself.
	mostFirst = 32
	// mostFull is for a whole promotion with three artifacts and four checks.
	mostFull = 36
	// mostResume is for one that goes on at apply. The questions of the checks are no longer
	// asked beside a handshake, which is over by then.
	mostResume = 24
	// mostBytes pass between the operator and the hosts while three artifacts go live:
	// the scripts, the plan and the answers, and none of the artifacts themselves. It is a
	// tenth of a megabyte.
	mostBytes = (1 << 20) / 10
	// mostTarget are the connections to a target: the run's, and that which confirms.
	mostTarget = 2
)

// far is how far the hosts are in TestCount: so far that what is asked at once is one
// round trip also on a busy machine, and so near that it takes no time.
const far = 200 * time.Millisecond

// bill is what a run of rel has cost.
type bill struct {
	// build, target and between are the connections to the build host, to the target,
	// and from the one to the other.
	build, target, between int
	// rounds are the operator's round trips that followed one another, shaking those in
	// which a handshake was under way.
	rounds, shaking int
	// bytes passed between operator and hosts, sent between the hosts.
	bytes, sent int64
}

// TestCount holds rel to what it may cost at a distance: connections, round trips and
// bytes, and never seconds.
func TestCount(t *testing.T) {
	w := newWorld(t, 1)
	w.handshake()
	// What is built slowly goes ahead, over a login more, and a machine may be slow: all that is
	// counted here is built before.
	w.must(exitOK, "plan", "--build")
	b := w.counted("the first", exitOK, "start")
	b.most(t, "the first release", mostFirst, 1)
	if b.sent < 1<<20 {
		t.Errorf("the build host sent %d bytes: the artifacts went another way", b.sent)
	}
	w.counted("nothing changed", exitOK, "start").most(t, "nothing changed", mostIdle, 0)
	w.bump(lab.Bump{})
	w.must(exitOK, "plan", "--build")
	b = w.counted("three rebuilt", exitOK, "start")
	b.most(t, "three rebuilt", mostFull, 0)
	if b.bytes > mostBytes {
		t.Errorf("%d bytes went between operator and hosts, at most %d are to", b.bytes, mostBytes)
	}

	// The release goes back, since a check fails, and then there is nothing to copy.
	w.amend(`deadline = "20s"`, `deadline = "3s"`)
	w.exec("choiros-prod", "systemctl stop caddy")
	w.bump(lab.Bump{})
	w.must(exitReverted, "start")
	w.exec("choiros-prod", "systemctl start caddy")
	w.counted("resume", exitOK, "resume").most(t, "a resume", mostResume, 0)

	// The journal knows nothing of what is there. The build host logs in at the target only if
	// something is lacking.
	w.journal = filepath.Join(t.TempDir(), "journal.db")
	w.counted("another laptop", exitOK, "start", "--force").most(t, "a start from another laptop", mostFull, 0)
}

// most checks a bill against what may be on it.
func (b bill) most(t *testing.T, what string, rounds, between int) {
	t.Helper()
	if got := b.rounds - b.shaking; got > rounds {
		t.Errorf("%s: %d round trips beside the handshakes, at most %d are to be", what, got, rounds)
	}
	if b.rounds < link.Dial || b.bytes == 0 {
		t.Errorf("%s: it went past the links: %+v", what, b)
	}
	if b.build > 1 || b.target > mostTarget || b.between > between {
		t.Errorf("%s: %d connections to the build host, %d to the target, %d between them; at most 1, %d and %d are to be",
			what, b.build, b.target, b.between, mostTarget, between)
	}
}

// counted runs rel with links before the hosts, and returns what passed.
func (w *world) counted(what string, code int, args ...string) bill {
	w.t.Helper()
	away, err := w.SetAway(w.t.TempDir(), lab.Distance{RTT: far, BuildRTT: time.Millisecond})
	if err != nil {
		w.t.Fatal(err)
	}
	defer away.Close()
	w.must(code, append([]string{"--config", away.ConfigPath(), "--ssh-config", away.SSHConfigPath()}, args...)...)
	away.Close() // what still passes is counted too
	build, target, between := away.Links[w.BuildHost()], away.Links["choiros-prod"], away.BuildLinks["choiros-prod"]
	conns := slices.Concat(build.Conns(), target.Conns())
	b := bill{
		build: len(build.Conns()), target: len(target.Conns()), between: len(between.Conns()),
		rounds: away.Clock.Now(), shaking: link.Shaking(conns),
		bytes: build.Bytes() + target.Bytes(), sent: between.Bytes(),
	}
	for _, c := range conns {
		w.t.Logf("%+v", c)
	}
	w.t.Logf("figures: %s: %d connections to the build host, %d to the target, %d between them; %d round trips, %d of them beside the handshakes; "+
		"%d bytes of the operator, %d between the hosts", what, b.build, b.target, b.between, b.rounds, b.rounds-b.shaking, b.bytes, b.sent)
	return b
}

// amend changes the lab's own configuration.
func (w *world) amend(old, now string) {
	w.t.Helper()
	text, err := os.ReadFile(w.ConfigPath())
	if err != nil {
		w.t.Fatal(err)
	}
	changed := strings.ReplaceAll(string(text), old, now)
	if err := os.WriteFile(w.ConfigPath(), []byte(changed), 0o600); err != nil || changed == string(text) {
		w.t.Fatalf("%q is not in the configuration, or: %v", old, err)
	}
}

// handshake checks what the links take for one.
func (w *world) handshake() {
	w.t.Helper()
	away, err := w.SetAway(w.t.TempDir(), lab.Distance{RTT: far})
	if err != nil {
		w.t.Fatal(err)
	}
	defer away.Close()
	h, err := (&remote.Dialer{ConfigFile: away.SSHConfigPath()}).Dial(w.t.Context(), "choiros-prod")
	if err != nil {
		w.t.Fatal(err)
	}
	rounds := away.Clock.Now()
	h.Close()
	if rounds != link.Dial {
		w.t.Errorf("a handshake is %d round trips, and is taken for %d", rounds, link.Dial)
	}
}
