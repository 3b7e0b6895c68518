package remote

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestResolveArgs(t *testing.T) {
	cases := map[string]string{
		"prod":               "-G -- prod",
		"root@prod":          "-G -l root -- prod",
		"root@prod:2222":     "-G -l root -p 2222 -- prod",
		"root@[::1]:22":      "-G -l root -p 22 -- ::1",
		"fe80::1":            "-G -- fe80::1",
		"-oProxyCommand=x":   "",
		"root@-oProxyC=evil": "",
		"":                   "",
	}
	for alias, want := range cases {
		args, err := resolveArgs("", alias)
		if got := strings.Join(args, " "); err == nil && got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v; want %q", alias, got, err, want)
		}
	}
}

func TestParseSettings(t *testing.T) {
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	s, err := parseSettings("prod", `user deploy
hostname 10.0.0.2
port 2222
identityfile ~/.ssh/%n-%r-%h
identityfile /k
identitiesonly yes
stricthostkeychecking false
userknownhostsfile /a /b
globalknownhostsfile /c
connecttimeout 7
hostkeyalias prod-key
certificatefile ~/c-cert.pub
knownhostscommand /x %H
revokedhostkeys none
hostkeyalgorithms ssh-ed25519,rsa-sha2-512
pubkeyacceptedalgorithms ssh-ed25519
pubkeyauthentication true
requiredrsasize 2048
proxyjump none
`)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.address(); got != "10.0.0.2:2222" {
		t.Errorf("address %s", got)
	}
	if got := s.keyAddress(); got != "prod-key:22" {
		t.Errorf("key address %s", got)
	}
	if want := filepath.Join(home, ".ssh/prod-deploy-10.0.0.2"); s.identityFiles[0] != want || s.identityFiles[1] != "/k" {
		t.Errorf("identity files %q", s.identityFiles)
	}
	if s.strict != "no" || !s.identitiesOnly || len(s.userKnownHosts) != 2 || s.connectTimeout.Seconds() != 7 {
		t.Errorf("settings %+v", s)
	}
	if s.certificateFiles[0] != filepath.Join(home, "c-cert.pub") || s.knownHostsCommand != "/x %H" || s.revokedHostKeys != nil ||
		len(s.hostKeyAlgorithms) != 2 || len(s.pubkeyAcceptedAlgorithms) != 1 || s.publicKeysDisabled || s.requiredRSASize != 2048 {
		t.Errorf("settings %+v", s)
	}
	for _, text := range []string{"proxycommand nc %h %p"} {
		_, err := parseSettings("prod", "user a\nhostname b\nport 22\n"+text+"\n")
		var refused *ConfigError
		if !errors.As(err, &refused) || refused.Option != strings.Fields(text)[0] {
			t.Errorf("%s: got %v", text, err)
		}
	}
	if _, err := parseSettings("prod", "user a\nhostname b\nport 22\nidentityfile /%Z\n"); err == nil {
		t.Error("a token that is not known was passed over")
	}
}

func TestClean(t *testing.T) {
	cases := map[string]string{
		"plain\ttext\n":               "plain\ttext\n",
		"\x1b[2J\x1b[1;31mred\x1b[0m": "red",
		"\x1b]0;title\x07text":        "text",
		"\x1b]52;c;aGk=\x07copied":    "copied",
		"a\rb\x00c\x07d\x08e\x7f":     "abcde",
		"\u009b31mC1":                 "31mC1",
		"bidi \u202eevil\u2066":       "bidi evil",
		"zero\u200bwidth":             "zerowidth",
		"bad \xff utf8":               "bad \uFFFD utf8",
		"wide 漢字 ✔":                   "wide 漢字 ✔",
	}
	for in, want := range cases {
		if got := Clean(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

// A line without an end must not fill the memory.
func TestLineWriterIsBounded(t *testing.T) {
	var lines []string
	w := &lineWriter{emit: func(line string) { lines = append(lines, line) }}
	for range 1000 {
		if _, err := w.Write([]byte(strings.Repeat("x", 1000))); err != nil {
			t.Fatal(err)
		}
	}
	w.flush()
	if len(lines) != 1 || len(lines[0]) != lineCap {
		t.Errorf("%d lines, the first of %d bytes", len(lines), len(lines[0]))
	}
}
