package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"choir.chat/rel/phases"
	"choir.chat/rel/remote"
)

// Whoever is not let in is told what to do, with the names filled in.
func TestExplainAuth(t *testing.T) {
	base := remote.AuthError{Host: "choiros-prod", User: "deploy", Address: "10.0.0.2:22", KeyFile: "/home/me/.ssh/prod",
		Offered: []string{"ssh-ed25519 SHA256:x (/home/me/.ssh/prod)"}}
	with := func(change func(*remote.AuthError)) *remote.AuthError {
		e := base
		change(&e)
		return &e
	}
	for name, c := range map[string]struct {
		err  *remote.AuthError
		cure string
		says []string
	}{
		"wrong key": {&base, "ssh choiros-prod", []string{
			"accepted none of the keys offered: ssh-ed25519 SHA256:x (/home/me/.ssh/prod)",
			"1. name the right key in ~/.ssh/config: Host choiros-prod, IdentityFile /home/me/.ssh/prod",
			"2. put its public half, /home/me/.ssh/prod.pub, into ~deploy/.ssh/authorized_keys on 10.0.0.2:22",
			"3. try: ssh choiros-prod"}},
		"another configuration": {with(func(e *remote.AuthError) { e.ConfigFile = "/tmp/my config" }), "ssh -F '/tmp/my config' choiros-prod",
			[]string{"in /tmp/my config: Host choiros-prod"}},
		"no key": {with(func(e *remote.AuthError) { e.KeyFile, e.Offered = "", nil }), "ssh choiros-prod",
			[]string{"no keys", "1. make a key (ssh-keygen -t ed25519), and name"}},
		"encrypted": {with(func(e *remote.AuthError) {
			e.Skipped = []remote.SkippedKey{{Key: "/a key", Reason: "it is encrypted", Cure: []string{"ssh-add", "/a key"}}}
		}), "ssh-add '/a key'", []string{"not used: /a key: it is encrypted; run: ssh-add '/a key'"}},
		"too many": {with(func(e *remote.AuthError) { e.TooMany = true }), "ssh choiros-prod",
			[]string{"MaxAuthTries", "Host choiros-prod, IdentitiesOnly yes, IdentityFile /home/me/.ssh/prod"}},
		"more wanted": {with(func(e *remote.AuthError) { e.Partial, e.Wanted = true, []string{"keyboard-interactive"} }), "ssh choiros-prod",
			[]string{"wants more: keyboard-interactive", "Match User deploy, AuthenticationMethods publickey"}},
		"no keys wanted": {with(func(e *remote.AuthError) { e.Wanted = []string{"password"} }), "ssh choiros-prod",
			[]string{"only password", "PubkeyAuthentication yes"}},
	} {
		e := explain(c.err)
		text := e.what + "\n" + strings.Join(e.detail, "\n")
		if e.code != exitUnreachable || e.cure != c.cure {
			t.Errorf("%s: exit %d, %s", name, e.code, e.cure)
		}
		for _, want := range c.says {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q does not say %q", name, text, want)
			}
		}
	}
}

// A host that forbids forwarding is named, whether a check goes through it or the way
// to another host.
func TestExplainForward(t *testing.T) {
	forbidden := &remote.ForwardError{Host: "near", Address: "10.0.0.1:22"}
	jump := explain(&remote.DialError{Host: "prod", Address: "10.0.0.1:22", Err: forbidden})
	if jump.code != exitUnreachable || !strings.Contains(jump.cure, "sshd_config of near") || len(jump.detail) > 0 {
		t.Errorf("a jump: %+v", jump)
	}
	check := explain(forbidden)
	if check.code != exitRefused || !strings.Contains(check.cure, "operator") || len(check.detail) == 0 {
		t.Errorf("a check: %+v", check)
	}
}

// The line to run really records the key, and no empty line, whatever the file's end is and
// its name.
func TestExplainNewHostKey(t *testing.T) {
	const line = "[10.0.0.2]:2222 ssh-rsa AAAA"
	for before, want := range map[string]string{"# no end": "# no end\n", "# an end\n": "# an end\n", "": ""} {
		file := filepath.Join(t.TempDir(), "known hosts")
		if err := os.WriteFile(file, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		e := explain(&remote.HostKeyError{Host: "prod", Type: "ssh-rsa", Got: "SHA256:x", File: file, Line: line})
		if text := recordedBy(t, e.cure, file); text != want+line+"\n" {
			t.Errorf("%s: %q", e.cure, text)
		}
		if text := strings.Join(e.detail, "\n"); !strings.Contains(text, "ssh_host_rsa_key.pub; if it is the same, record it") {
			t.Errorf("it says %q", text)
		}
	}
}

// recordedBy is what a file has once a command was run.
func recordedBy(t *testing.T, command, file string) string {
	t.Helper()
	if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v %s", command, err, out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Of several hosts all the unknown keys are recorded in one round, each once; what else
// there is to do comes after that.
func TestExplainNewHostKeys(t *testing.T) {
	dir := t.TempDir()
	key := func(file, line string) error {
		return &remote.HostKeyError{Host: "prod", Type: "ssh-rsa", Got: "SHA256:x", File: filepath.Join(dir, file), Line: line}
	}
	away := &remote.DialError{Host: "away", Err: os.ErrDeadlineExceeded}
	for name, c := range map[string]struct {
		hosts phases.HostErrors
		then  bool
	}{
		"new":     {phases.HostErrors{key("new", "a"), key("new", "b"), key("new", "a")}, false},
		"last":    {phases.HostErrors{away, key("last", "a"), key("last", "b")}, true},
		"between": {phases.HostErrors{key("between", "a"), away, key("between", "b")}, true},
		"apart":   {phases.HostErrors{key("other", "x"), key("apart", "a"), key("apart", "b")}, false},
	} {
		e := explain(c.hosts)
		command, then := strings.CutSuffix(e.cure, " && ssh away true")
		if text := recordedBy(t, command, filepath.Join(dir, name)); text != "a\nb\n" || then != c.then || e.code != exitUnreachable {
			t.Errorf("%s: %s: %q, exit %d", name, e.cure, text, e.code)
		}
	}
	if text := recordedBy(t, "true", filepath.Join(dir, "other")); text != "x\n" {
		t.Errorf("in another file: %q", text)
	}
}

func TestExplainHostKey(t *testing.T) {
	key := remote.HostKeyError{Host: "prod", Address: "10.0.0.2:22", Type: "ecdsa-sha2-nistp256", Got: "SHA256:x", File: "/f", Line: "l"}
	changed, revoked, nowhere := key, key, key
	changed.Known = []string{"ssh-rsa SHA256:y (/f:3)"}
	revoked.Revoked = "/f:4"
	nowhere.File = ""
	for _, c := range []struct {
		err  *remote.HostKeyError
		says []string
	}{
		{&changed, []string{"has changed", "SHA256:x", "SHA256:y (/f:3)", "ssh_host_ecdsa_key.pub", "someone stands in between"}},
		{&revoked, []string{"is revoked (/f:4)", "must not be trusted again"}},
		{&nowhere, []string{"is not known", "names no file"}},
	} {
		e := explain(c.err)
		text := e.what + "\n" + strings.Join(e.detail, "\n") + "\n" + e.cure
		for _, want := range c.says {
			if !strings.Contains(text, want) {
				t.Errorf("%q does not say %q", text, want)
			}
		}
		if strings.Contains(text, "printf") {
			t.Errorf("%q has such a key recorded", text)
		}
	}
}
