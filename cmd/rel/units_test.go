package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/remote/lab"
)

// dropIn changes the hypervisor's unit on the target, in the place of what an
// earlier one changed. What runs goes on as it is.
func (w *world) dropIn(lines ...string) {
	w.t.Helper()
	w.exec("choiros-prod", `mkdir -p /etc/systemd/system/hypervisor.service.d
cat >/etc/systemd/system/hypervisor.service.d/test.conf <<'END'
[Service]
`+strings.Join(lines, "\n")+`
END
systemctl daemon-reload`)
}

// only is a command of the unit that does something in one version alone, so
// that the fixture needs no mode for it: the others run as they always do.
func only(version int, script, otherwise string) string {
	return fmt.Sprintf(`/bin/sh -c 'case $$(readlink /opt/choiros/bin/hypervisor) in *-hypervisor-%d/*) %s;; esac; %s'`,
		version, script, otherwise)
}

// execStart is only for the unit's main process, which becomes the binary.
func execStart(version int, script string) string {
	return "ExecStart=\nExecStart=" + only(version, script, "exec /opt/choiros/bin/hypervisor")
}

// runsVersion wants the target's links to lead to a version, and the main
// process of each unit to be what its link leads to.
func (w *world) runsVersion(version int) {
	w.t.Helper()
	for _, name := range []string{"sandbox", "hypervisor", "desktop"} {
		if at := w.exec("choiros-prod", "readlink /opt/choiros/bin/"+name); !strings.HasSuffix(at, fmt.Sprintf("-%s-%d/bin/%s", name, version, name)) {
			w.t.Errorf("%s leads to %s, want version %d", name, at, version)
		}
	}
	// Where the unit begins with a shell, it takes a moment to be the binary.
	w.await("choiros-prod", `for u in container@sandbox-live:sandbox container@sandbox-dev:sandbox hypervisor:hypervisor; do
			exe=$(readlink /proc/$(systemctl show -p MainPID --value ${u%:*})/exe)
			[ "$exe" = "$(readlink -f /opt/choiros/bin/${u#*:})" ] || exit 1
		done`)
}

// fellBack wants the newest promotion to have ended with the target back on
// version 1, whose promotion is live: in what rel says, in what the target has
// and runs, and in what it has written down.
func (w *world) fellBack(o outcome, live string) {
	w.t.Helper()
	o.closes(w.t)
	// To the end of the line: nothing waits, and nothing is left to be put back.
	o.mentions(w.t, "\ntargets: choiros-prod runs "+live[len(live)-7:]+" ("+live+")\n")
	w.runsVersion(1)
	last := w.exec("choiros-prod", "grep -v '\"what\":\"released\"' /var/lib/rel/choiros/ledger.jsonl | tail -n 1")
	if !strings.Contains(last, `"what":"reverted"`) || !strings.Contains(last, w.newest()) {
		w.t.Errorf("the target's ledger ends with %s", last)
	}
	w.must(exitOK, "status").mentions(w.t, "choiros-prod  "+live)
}

// TestUnitsBroken has units that do not stay up, or never come up, each in its
// own way: the apply fails, and the release before is back.
func TestUnitsBroken(t *testing.T) {
	w := newWorld(t, 1)
	w.must(exitOK, "start")
	live := w.newest()
	w.bump(lab.Bump{})
	// The lab is in more of a hurry than rel is by itself.
	w.rewrite(`settle  = "1s"`, "")
	for _, c := range sampled(2, []struct {
		name, unit string
		// says is what the unit's journal has of it, fault what rel finds.
		says, fault string
	}{
		{"dies at once", execStart(2, `echo "dies at once" >&2; exit 1`),
			"| dies at once", "hypervisor did not stay up"},
		{"fails before it starts", "ExecStartPre=" + only(2, `echo "not today" >&2; exit 1`, ":"),
			"| not today", "hypervisor did not start"},
		{"dies after three seconds", execStart(2, `sleep 3; echo "dies after all" >&2; exit 1`),
			"| dies after all", "hypervisor did not stay up"},
		{"hangs before it starts", "TimeoutStartSec=2\nExecStartPre=" + only(2, "sleep 60", ":"),
			"start-pre operation timed out", "hypervisor did not start"},
	}) {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			w := w.in(t)
			w.dropIn(c.unit)
			o := w.must(exitReverted, "start")
			o.mentions(t, c.says, "\nrel: apply failed: choiros-prod: "+c.fault)
			w.fellBack(o, live)
		})
	}
}

// TestUnitsSlow: an old process that does not want to end, and a new one that
// is long in coming, are no reason to go back.
func TestUnitsSlow(t *testing.T) {
	w := newWorld(t, 1)
	w.must(exitOK, "start")

	// The shell is the main process, and the only one that is sent the SIGTERM.
	w.dropIn("KillMode=mixed", "TimeoutStopSec=20",
		"ExecStart=", "ExecStart="+only(1, `trap "" TERM; /opt/choiros/bin/hypervisor; exit 0`, "exec /opt/choiros/bin/hypervisor"))
	w.exec("choiros-prod", "systemctl restart hypervisor")
	second := w.bump(lab.Bump{})
	w.must(exitOK, "start").mentions(t, "healthy on choiros-prod")
	if said := w.exec("choiros-prod", "journalctl --unit hypervisor --output cat | grep -c 'timed out. Killing'"); said != "1" {
		t.Errorf("systemd lost its patience %s times, want 1", said)
	}
	checkLinks(t, w)
	w.runsVersion(2)
	w.must(exitOK, "status").mentions(t, "choiros-prod  "+w.newest()+"  "+second[:7])

	w.rewrite(`deadline = "20s"`, `deadline = "40s"`)
	w.dropIn(execStart(3, "sleep 15"))
	third := w.bump(lab.Bump{})
	o := w.must(exitOK, "start")
	o.mentions(t, `check "hypervisor" passed after `)
	if strings.Contains(o.err, `check "hypervisor" passed after 2 attempts`) {
		t.Error("it listened at once")
	}
	checkLinks(t, w)
	w.runsVersion(3)
	w.must(exitOK, "status").mentions(t, "choiros-prod  "+w.newest()+"  "+third[:7])
}

// soon rewrites the checks to be over soon: by the time they begin, the units
// have been up for longer.
var soon = []string{`start_period = "2s"`, `start_period = "0s"`, `deadline = "20s"`, `deadline = "3s"`}

// caddy gives the target's Caddy another configuration.
func (w *world) caddy(text string) {
	w.t.Helper()
	w.exec("choiros-prod", "cat >/etc/caddy/Caddyfile <<'END'\n"+text+"\nEND\nsystemctl reload caddy")
}

// TestHealthAnswers: what answers is not what should. Each time the units are
// fine, and it is for the check to say so.
func TestHealthAnswers(t *testing.T) {
	w := newWorld(t, 1)
	w.must(exitOK, "start")
	live := w.newest()
	second := w.bump(lab.Bump{})

	ca, cert, key := expired(t, "os.choir.chat")
	theirs, err := os.ReadFile(w.CAPath())
	if err != nil {
		t.Fatal(err)
	}
	// With the target's own beside it: the other check has nothing to complain of.
	if err := os.WriteFile(filepath.Join(w.Dir, "both.pem"), append(theirs, ca...), 0o600); err != nil {
		t.Fatal(err)
	}
	w.exec("choiros-prod", fmt.Sprintf("cat >/etc/caddy/cert.pem <<'END'\n%sEND\ncat >/etc/caddy/key.pem <<'END'\n%sEND\n", cert, key))

	const proxy = "reverse_proxy 127.0.0.1:9090"
	caddyfile := w.exec("choiros-prod", "cat /etc/caddy/Caddyfile")
	if strings.Count(caddyfile, proxy) != 1 {
		t.Fatalf("nothing is to be changed in\n%s", caddyfile)
	}
	for _, c := range sampled(2, []struct {
		name, site string
		config     []string
		says       string
	}{
		// Where it goes there is a page with the right commit, for who follows.
		{"leads to a login", "redir /login /health 302\n" + proxy, nil, "answered 302, want 200"},
		{"another commit", `respond "version=2 sha=` + strings.Repeat("0", 40) + `"`, nil,
			"answered 200 without \"" + second + `": "version=2 sha=000`},
		{"its certificate has expired", "tls /etc/caddy/cert.pem /etc/caddy/key.pem\n" + proxy,
			[]string{`ca = "ca.pem"`, `ca = "both.pem"`}, "certificate has expired"},
		// In turns with the sandbox, which has no such page.
		{"flaps", "reverse_proxy 127.0.0.1:9090 127.0.0.1:8080 {\nlb_policy round_robin\n}",
			[]string{`successes = 2`, `successes = 3`}, "answered 404, want 200"},
	}) {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			w := w.in(t)
			w.rewrite(append(c.config, soon...)...)
			w.caddy(strings.Replace(caddyfile, proxy, c.site, 1))
			o := w.must(exitReverted, "start")
			o.mentions(t, "\nrel: health failed: check \"login\" on choiros-prod failed after ", c.says)
			// It is the only one, or this would be about something else.
			if strings.Count(o.err, "on choiros-prod failed after") != 1 {
				t.Error("other checks failed as well")
			}
			w.fellBack(o, live)
		})
	}

	// It did flap; and as soon as it no longer does, the release is healthy.
	answers := map[int]int{}
	for range 4 {
		status, _ := w.fetch("choiros-prod", "https://os.choir.chat/login")
		answers[status]++
	}
	if answers[200] != 2 || answers[404] != 2 {
		t.Errorf("four answers are %v", answers)
	}
	w.caddy(caddyfile)
	w.must(exitOK, "resume", w.newest())
	w.runsVersion(2)
	w.must(exitOK, "status").mentions(t, "choiros-prod  "+w.newest())
}

// expired makes an authority, and a certificate of its own that has run out,
// all as PEM.
func expired(t *testing.T, host string) (ca, cert, key []byte) {
	t.Helper()
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{host},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(c *x509.Certificate, public *ecdsa.PublicKey) []byte {
		der, err := x509.CreateCertificate(rand.Reader, c, authority, public, authorityKey)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	der, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		t.Fatal(err)
	}
	return sign(authority, &authorityKey.PublicKey), sign(leaf, &leafKey.PublicKey),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// TestHealthOldProcess: the old release answers, and answers well. Only what it
// says of itself gives it away.
func TestHealthOldProcess(t *testing.T) {
	w := newWorld(t, 1)
	first, err := w.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.must(exitOK, "start")
	live := w.newest()
	second := w.bump(lab.Bump{})

	// The operator forgot to have it restarted.
	pid := "systemctl show -p MainPID --value hypervisor"
	before := w.exec("choiros-prod", pid)
	w.rewrite(append([]string{`"container@sandbox-dev", "hypervisor"]`, `"container@sandbox-dev"]`}, soon...)...)
	o := w.must(exitReverted, "start")
	o.mentions(t, "2 units restarted", "\nrel: health failed: check \"hypervisor\" on choiros-prod failed after ",
		`answered 200 without "`+second+`": "ok version=1 sha=`+first)
	w.fellBack(o, live)
	if now := w.exec("choiros-prod", pid); now != before {
		t.Errorf("the hypervisor's process was %s and is %s", before, now)
	}

	// The same by a header alone: Caddy has the one of the old release.
	const proxy = "reverse_proxy 127.0.0.1:9090"
	caddyfile := w.exec("choiros-prod", "cat /etc/caddy/Caddyfile")
	says := func(sha string) { w.caddy(strings.Replace(caddyfile, proxy, "header X-Sha "+sha+"\n"+proxy, 1)) }
	w.rewrite(append([]string{"status = 200\nbody = \"${sha}\"", "status = 200\nheader = \"X-Sha: ${sha}\"",
		"/health\"\nbody = \"${sha}\"", "/health\""}, soon...)...)
	says(first)
	o = w.must(exitReverted, "start")
	o.mentions(t, "\nrel: health failed: check \"login\" on choiros-prod failed after ",
		fmt.Sprintf("answered 200 with X-Sha [%q], want %q", first, second))
	w.fellBack(o, live)
	says(second)
	w.must(exitOK, "resume", w.newest())
	w.runsVersion(2)
	w.must(exitOK, "status").mentions(t, "choiros-prod  "+w.newest())
}

// TestHealthUndecided: a name that nobody can resolve says nothing of the
// release. It is asked for again as long as there is time; then the target goes
// back by itself, and rel says that it never knew.
func TestHealthUndecided(t *testing.T) {
	w := newWorld(t, 1)
	w.must(exitOK, "start")
	live := w.newest()
	w.bump(lab.Bump{})
	const apex = "[[check]]\nname = \"apex\""
	asks := func(w *world, from string) {
		w.rewrite(apex, `[[check]]
name = "elsewhere"
from = "`+from+`"
url  = "http://nowhere.invalid:9090/health"
start_period = "0s"
interval = "200ms"
deadline = "1s"

`+apex, `confirm      = "60s"`, `confirm = "8s"`)
	}
	for _, c := range []struct{ from, where string }{
		{"operator", "from the operator"},
		{"target", "on choiros-prod"},
	} {
		t.Run(c.from, func(t *testing.T) {
			w := w.in(t)
			asks(w, c.from)
			o := w.must(exitReverted, "start")
			o.mentions(t, "undecided; trying again for ", "waiting for the targets to go back by themselves",
				"choiros-prod: went back by itself", "\nrel: health failed: cannot be confirmed: check \"elsewhere\" "+c.where+" inconclusive after ")
			if strings.Contains(o.err, `" failed after `) {
				t.Error("a check is said to have failed")
			}
			w.fellBack(o, live)
			// Nobody told it to.
			if why := w.exec("choiros-prod", "cat /var/lib/rel/choiros/releases/"+w.newest()+"/reverted"); why != "not confirmed within 8s" {
				t.Errorf("it went back for: %s", why)
			}
		})
	}
	// It is indeed asked again: once the target knows the name, all is well.
	asks(w, "target")
	code, _ := w.startAndSignal(program(t), syscall.SIGCONT, func(ev journal.Event) bool {
		if !strings.HasPrefix(ev.Text, "undecided; ") {
			return false
		}
		w.exec("choiros-prod", "echo 127.0.0.1 nowhere.invalid >>/etc/hosts")
		return true
	})
	if code != exitOK {
		t.Errorf("rel start: exit %d, want %d", code, exitOK)
	}
	w.runsVersion(2)
	w.must(exitOK, "status").mentions(t, "choiros-prod  "+w.newest())
}
