package main

import (
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"

	"choir.chat/rel/phases"
)

// keysOf are the keys that let root in at a host, byte for byte.
const keysOf = "base64 -w0 /root/.ssh/authorized_keys; stat -c '%n %a %U' /root/.ssh /root/.ssh/*"

// wrapped puts a command of the build host's own before one that rel uses there.
func (w *world) wrapped(command, script string) {
	w.t.Helper()
	w.exec(w.BuildHost(), fmt.Sprintf("mkdir -p /run/wrappers/bin; cat >/run/wrappers/bin/%[1]s <<'EOF'\n#!/bin/sh\n%[2]s\nexec /usr/bin/%[1]s \"$@\"\nEOF\nchmod +x /run/wrappers/bin/%[1]s",
		command, script))
}

// copying is a promotion, of an app of its own, at which nothing but copies is tried.
type copying struct {
	*phases.Promotion
	w *world
	// noted is what the last copy has recorded for people.
	noted string
}

func newCopying(w *world) *copying {
	h := &house{globals: &globals{SSHConfig: w.SSHConfigPath()}, std: stdio{err: io.Discard}}
	w.t.Cleanup(h.close)
	dialer := h.dialer()
	c := &copying{w: w}
	c.Promotion = &phases.Promotion{
		ID: "20260101-000000-c0b1e50", Build: h.host(dialer, phases.Site{Host: w.BuildHost()}),
		Targets: []phases.Host{h.host(dialer, phases.Site{Host: "choiros-prod"})},
		Plan:    phases.Plan{App: "copying", Targets: []phases.Site{{Host: "choiros-prod"}}},
		Pulse:   &phases.Pulse{},
		Line:    func(host, line string) { w.t.Logf("%s: %s", host, line) },
		Note: func(host, text string) {
			w.t.Logf("%s: %s", host, text)
			c.noted += text + "\n"
		},
	}
	return c
}

// copy takes a small path that is new to the target.
func (c *copying) copy() error {
	c.w.t.Helper()
	path := c.w.exec(c.w.BuildHost(), "head -c 100000 /dev/urandom >/tmp/copied; nix-store --add /tmp/copied")
	c.noted, c.Facts.Build = "", &phases.Release{ID: c.ID, Closure: []string{path}, Outputs: []phases.Output{{Artifact: phases.Artifact{Name: "copied", Link: "/copied"}, Path: path}}}
	return phases.Copy(c.w.t.Context(), c.Promotion)
}

// relayed reports whether the last copy went through the operator.
func (c *copying) relayed() bool { return c.Facts.Copy.Targets["choiros-prod"].Relayed }

// TestDirect: the build host sends to the targets by itself, and nothing is left of the
// key that it did it with. Where it cannot, the operator is told, and carries.
func TestDirect(t *testing.T) {
	w := newWorld(t, 2)
	// Whoever edited this file last left no newline at its end.
	w.exec("choiros-prod", `printf '%s' "# the team's keys
$(cat /root/.ssh/authorized_keys)" >/root/.ssh/authorized_keys`)
	before := w.exec("choiros-prod", keysOf)
	w.must(exitOK, "plan", "--build") // what is built slowly would go ahead
	w.must(exitOK, "start").mentions(t, "sent by the build host")
	for name, sent := range w.past().Facts.Copy.Targets {
		if sent.Relayed || sent.Bytes == 0 {
			t.Errorf("%s: sent %+v", name, sent)
		}
	}
	same := func(t *testing.T) {
		t.Helper()
		if now := w.exec("choiros-prod", keysOf); now != before {
			t.Errorf("the keys on the target are\n%s\nbefore\n%s", now, before)
		}
	}
	same(t)
	for _, r := range raids {
		t.Run(r.name, func(t *testing.T) {
			newCopying(w.in(t)).raid(r)
			same(t)
		})
	}
	for _, o := range obstacles {
		t.Run(o.name, func(t *testing.T) {
			newCopying(w.in(t)).meet(o)
			same(t)
		})
	}
}

// obstacle is what keeps the build host from sending by itself.
type obstacle struct {
	name, host, spoil, mend string
	// address is what the build host is told to call the target.
	address string
	says    string
}

var obstacles = []obstacle{
	{name: "no agent is forwarded", host: "choiros-grind",
		spoil: "echo AllowAgentForwarding no >>/etc/ssh/sshd_config; systemctl restart ssh",
		mend:  "sed -i '$d' /etc/ssh/sshd_config; systemctl restart ssh", says: "AllowAgentForwarding"},
	{name: "keys are read elsewhere", host: "choiros-prod",
		spoil: `cp /root/.ssh/authorized_keys /etc/keys; ln -sf /etc/keys /etc/keys.root
			echo AuthorizedKeysFile /etc/keys.%u >>/etc/ssh/sshd_config; systemctl restart ssh`,
		mend: "sed -i '$d' /etc/ssh/sshd_config; systemctl restart ssh", says: "reads the keys of root where they cannot be changed"},
	{name: "no way", host: "choiros-grind",
		spoil: "ip route add blackhole $(getent hosts choiros-prod | cut -d' ' -f1)/32",
		mend:  "ip route del blackhole $(getent hosts choiros-prod | cut -d' ' -f1)/32", says: "could not log in there"},
	{name: "another host there", host: "choiros-grind", spoil: ":", mend: ":", address: "choiros-prod-2", says: "Host key verification failed"},
	{name: "no such host", host: "choiros-grind", spoil: ":", mend: ":", address: "choiros-nowhere:2222", says: "choiros-nowhere"},
}

// meet copies in spite of an obstacle, and not if there is no other way.
func (c *copying) meet(o obstacle) {
	t := c.w.t
	t.Helper()
	c.w.exec(o.host, o.spoil)
	defer func() { c.w.exec(o.host, o.mend) }()
	c.Plan.Targets[0].FromBuild = o.address
	if err := c.copy(); err != nil {
		t.Fatal(err)
	}
	if !c.relayed() || !strings.Contains(c.noted, o.says) || !strings.Contains(c.noted, "through this machine") {
		t.Errorf("relayed %v, and it was said\n%s", c.relayed(), c.noted)
	}
	c.Plan.Via = phases.Direct
	if err := c.copy(); err == nil || !strings.Contains(err.Error(), o.says) {
		t.Errorf("there is no way, and it came to: %v", err)
	}
}

// TestDirectKilled kills rel in the midst of a copy. The build host ends it, and the
// next run takes the key away.
func TestDirectKilled(t *testing.T) {
	w := newWorld(t, 1)
	rel := program(t)
	before := w.exec("choiros-prod", keysOf)
	w.rewrite(`[build]`, "[copy]\nvia = \"direct\"\n\n[build]")
	w.wrapped("ssh", "sleep 8") // the key goes as it is used
	code, _ := w.during(rel, begins("copy"), func(cmd *exec.Cmd) {
		w.await("choiros-prod", "grep -q rel-one-use /root/.ssh/authorized_keys")
		w.await(w.BuildHost(), "pgrep -f 'ssh .* receiv[e]'")
		if line := w.exec("choiros-prod", "cat /root/.ssh/authorized_keys"); !strings.Contains(line, `restrict,expiry-time="`) ||
			!strings.Contains(line, fmt.Sprintf(`,from="%s",command="exec /bin/sh /var/lib/rel/choiros/releases/`, w.Addr(w.BuildHost()))) {
			t.Errorf("the key of the copy is let in as\n%s", line)
		}
		_ = cmd.Process.Kill()
	})
	if code != -1 {
		t.Fatalf("it ended with %d", code)
	}
	w.await(w.BuildHost(), "! pgrep -f 'ssh .* receiv[e]'")
	if now := w.exec("choiros-prod", keysOf); now == before {
		t.Error("it was not killed in the midst of a copy")
	}
	w.exec(w.BuildHost(), "rm /run/wrappers/bin/ssh")
	w.must(exitOK, "resume")
	if now := w.exec("choiros-prod", keysOf); now != before {
		t.Errorf("the keys on the target are\n%s\nbefore\n%s", now, before)
	}
}

// raid is what root of the build host tries with the key while it is lent.
type raid struct {
	name string
	// script does it; TARGET and OTHER are hosts, and try is ssh as they would use it.
	script string
	// says is in what comes of it.
	says string
	// also is a host and what is done there with the key, in LENT, before: what
	// only the agent then refuses.
	at, also string
	// direct says that the copy goes on as if nothing had been.
	direct bool
}

var raids = []raid{
	{name: "what is lent", script: "ssh-add -L | wc -l; ssh-add -L", says: "1\nssh-ed25519", direct: true},
	{name: "a command", script: "try root@$TARGET 'id; touch /tmp/owned'; echo $?", says: "1"},
	{name: "a terminal", script: "echo 'touch /tmp/owned' | try -tt root@$TARGET; echo $?", says: "PTY allocation request failed"},
	{name: "files", script: "echo 'put /etc/hostname /tmp/owned' | timeout 5 sftp $options -b - root@$TARGET; echo $?", says: ""},
	{name: "a port there", script: "sleep 2 | try -W 127.0.0.1:22 root@$TARGET; echo", says: "administratively prohibited"},
	{name: "a port here", script: "try -o ExitOnForwardFailure=yes -R 4444:127.0.0.1:22 root@$TARGET; echo", says: "remote port forwarding failed"},
	{name: "an agent there", script: "try -A root@$TARGET true; echo", says: ""},
	{name: "another host", script: "try root@$OTHER 'echo in; touch /tmp/owned'", says: "Permission denied",
		at: "choiros-prod-2", also: `echo "$LENT" >>/root/.ssh/authorized_keys`, direct: true},
	{name: "another user", script: "try admin@$TARGET 'echo in; touch /tmp/owned'", says: "Permission denied",
		at: "choiros-prod", also: `useradd --create-home admin 2>/dev/null; mkdir -p /home/admin/.ssh; echo "$LENT" >/home/admin/.ssh/authorized_keys`, direct: true},
	{name: "after its time", script: "try root@$TARGET true", says: "Permission denied",
		at: "choiros-prod", also: `sed -i 's/expiry-time="[0-9Z]*"/expiry-time="20200101000000"/' /root/.ssh/authorized_keys`, direct: true}, // with the next key
	{name: "a signature", script: "ssh-add -L >/tmp/lent.pub; echo x | ssh-keygen -Y sign -n git -f /tmp/lent.pub; echo $?", says: "255", direct: true},
	{name: "twice", script: "try root@$TARGET </dev/null >/dev/null; try root@$TARGET 'touch /tmp/owned'", says: "Permission denied"},
}

// raid has root of the build host try it: with the key of a copy it can bring store
// paths to the one target, and nothing else.
func (c *copying) raid(r raid) {
	w, t := c.w, c.w.t
	t.Helper()
	w.exec(w.BuildHost(), "rm -f /tmp/went /tmp/go /tmp/lent")
	w.wrapped("ssh", fmt.Sprintf(`rm -f /run/wrappers/bin/ssh
		TARGET=choiros-prod OTHER=choiros-prod-2
		options='-F none -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null'
		try() { timeout 20 /usr/bin/ssh $options "$@"; }
		{
			ssh-add -L >/tmp/lent
			n=0; while [ ! -e /tmp/go ] && [ $n -lt 200 ]; do n=$((n + 1)); sleep 0.1; done
			%s
		} >/tmp/went 2>&1 </dev/null`, r.script))
	done := make(chan error, 1)
	go func() { done <- c.copy() }()
	w.await(w.BuildHost(), "[ -s /tmp/lent ]")
	if r.at != "" {
		w.exec(r.at, fmt.Sprintf("LENT='%s'\n%s", w.exec(w.BuildHost(), "cat /tmp/lent"), r.also))
	}
	w.exec(w.BuildHost(), "touch /tmp/go")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	went := w.exec(w.BuildHost(), "cat /tmp/went")
	t.Logf("what came of it:\n%s", went)
	if !strings.Contains(went, r.says) || strings.Contains(went, "uid=") || strings.Contains(went, "SSH-2.0") {
		t.Errorf("it came to\n%s\nwant %q", went, r.says)
	}
	for _, host := range w.Targets() {
		w.exec(host, "[ ! -e /tmp/owned ]")
	}
	w.exec("choiros-prod", "nix-store --check-validity "+c.Facts.Build.Closure[0])
	if c.relayed() == r.direct {
		t.Errorf("the copy went on, relayed: %v", c.relayed())
	}
}
