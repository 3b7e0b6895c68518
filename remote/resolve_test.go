package remote

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

func TestDestination(t *testing.T) {
	cases := map[string]string{
		"prod":                     "-- prod",
		"root@prod":                "-l root -- prod",
		"root@prod:2222":           "-l root -p 2222 -- prod",
		"root@[::1]:22":            "-l root -p 22 -- ::1",
		"[::1]":                    "-- ::1",
		"fe80::1":                  "-- fe80::1",
		"fe80::1%eth0":             "-- fe80::1%eth0",
		"me@corp.example@prod":     "-l me@corp.example -- prod",
		"ssh://prod":               "-- prod",
		"ssh://root@prod:2222/":    "-l root -p 2222 -- prod",
		"ssh://a%40b;x=1@[::1]:22": "-l a@b -p 22 -- ::1",
		"ssh://prod/etc":           "",
		"ssh://prod:x":             "",
		"-oProxyCommand=x":         "",
		"root@-oProxyC=evil":       "",
		"-l@prod":                  "",
		"prod:2222;id":             "",
		"prod;id":                  "",
		"$(id)":                    "",
		"a`id`@prod":               "",
		"prod\x1b[31m":             "",
		"":                         "",
	}
	for alias, want := range cases {
		to, err := parseDestination(alias)
		if (err != nil) != (want == "") {
			t.Errorf("%q: %v", alias, err)
		} else if got := strings.Join(resolveArgs("", to), " "); err == nil && got != "-G -T -o ControlPath=%C "+want {
			t.Errorf("%q: %q, want %q", alias, got, want)
		}
	}
}

// ssh is asked once for a host, whoever asks; what failed is asked again.
func TestResolveOnce(t *testing.T) {
	needSSH(t)
	dir := t.TempDir()
	d := &Dialer{ConfigFile: filepath.Join(dir, "config")}
	to := destination{name: "prod", host: "prod"}
	if s, err := d.resolve(t.Context(), to); err == nil {
		t.Fatalf("without a configuration it is %v", s)
	}
	write(t, d.ConfigFile, "Match exec \"echo x >> "+dir+"/count; sleep 0.5\"\n Port 2\n")
	// Who asks first may go away: the others have their answer.
	hasty, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := d.resolve(hasty, to); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	var group errgroup.Group
	for range 5 {
		group.Go(func() error {
			s, err := d.resolve(t.Context(), to)
			if err == nil && s.port != "2" {
				t.Errorf("the port is %s", s.port)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.resolve(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	if got := read(t, dir+"/count"); got != "x\n" {
		t.Errorf("it was asked %d times", len(got)/2)
	}
	to.name = "ssh://prod"
	if s, err := d.resolve(t.Context(), to); err != nil || s.alias != "ssh://prod" {
		t.Errorf("got %v, %v", s, err)
	}
	to.port = "3"
	if s, err := d.resolve(t.Context(), to); err != nil || s.port != "3" {
		t.Errorf("got %v, %v", s, err)
	}
}

// What cannot be honoured is refused by name, with ssh and without.
func TestRefused(t *testing.T) {
	needSSH(t)
	cases := map[string]string{
		"ProxyCommand -":                                   "input and output",
		"ProxyCommand false\nProxyUseFdpass yes":           "proxyusefdpass yes, which rel cannot honour",
		"KexAlgorithms sntrup761x25519-sha512@openssh.com": "leaves none that rel knows",
		"MACs umac-64@openssh.com,umac-128@openssh.com":    "macs umac-64@openssh.com,umac-128@openssh.com, which leaves none",
		"UserKnownHostsFile a b":                           "absolute names",
		"UserKnownHostsFile \"/no such file\"":             "absolute names",
		"IdentityFile ~nobody-here/k":                      "nobody's home",
		"IdentityFile /%Z":                                 "%Z in /%Z",
		"IdentityFile /50%":                                "half of a token",
		"IdentityFile ${REL_TEST_NONE}/k":                  "${REL_TEST_NONE in",
		"ProxyCommand x %d":                                "%d in x, which",
		"HostName -oX":                                     "@-ox\", which is no name",
		"User a\x1b[31m":                                   `"a\x1b[31m@prod", which is no name`,
		"ProxyJump %n;id":                                  "proxyjump prod;id, which names no host",
	}
	for config, want := range cases {
		file := filepath.Join(t.TempDir(), "config")
		write(t, file, config+"\n")
		to := destination{name: "prod", host: "prod"}
		_, err := resolve(t.Context(), file, to)
		var refused *ConfigError
		if !errors.As(err, &refused) || refused.Host != "prod" || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", config, err)
		}
		if _, err := readSettings(file, to); !errors.As(err, &refused) {
			t.Errorf("%q, without ssh: got %v", config, err)
		}
	}
}

// What is of no matter does not stop anybody.
func TestOfNoMatter(t *testing.T) {
	needSSH(t)
	file := filepath.Join(t.TempDir(), "config")
	write(t, file, `ControlMaster auto
ControlPath /run/%C
ControlPersist 10m
ForwardAgent yes
LocalForward 8080 localhost:80
SendEnv LANG LC_*
SetEnv A=b
RequestTTY yes
RemoteCommand tmux a
PermitLocalCommand yes
LocalCommand true
VisualHostKey yes
Compression yes
GSSAPIAuthentication yes
CheckHostIP yes
ProxyUseFdpass yes
PubkeyAuthentication host-bound
PreferredAuthentications gssapi-with-mic,publickey
KnownHostsCommand none
RekeyLimit 1G 1h
NewInTheYear2030 yes
IgnoreUnknown NewInTheYear*
`)
	text := read(t, file)
	write(t, file, "IgnoreUnknown NewInTheYear*\n"+text)
	to := destination{name: "prod", host: "prod"}
	if _, err := resolve(t.Context(), file, to); err != nil {
		t.Error(err)
	}
	if _, err := readSettings(file, to); err != nil {
		t.Error(err)
	}
	if _, err := parseSettings(to, "hostname x\nport 22\nuser y\nnewintheyear2030 yes\n"); err != nil {
		t.Error(err)
	}
}

// The table has every keyword that this machine's ssh prints, and a row is one thing.
func TestKeywords(t *testing.T) {
	needSSH(t)
	out, err := exec.CommandContext(t.Context(), "ssh", "-G", "-T", "-F", "none", "prod").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		key, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(line)), " ")
		if _, ok := keywords[key]; !ok {
			t.Errorf("%s is not in the table", key)
		}
	}
	for key, k := range keywords {
		if (k.take == nil) == (k.moot == "") || key != strings.ToLower(key) {
			t.Errorf("the row of %s: honoured or refused %v, of no matter since %q", key, k.take != nil, k.moot)
		}
	}
}

// Without ssh, what would be read in another way is refused, with its place and cure.
func TestReadable(t *testing.T) {
	for text, want := range map[string]string{
		"Host a\n\tPort 1\n\n mAtCh = host b\n":     ":4 has a Match block",
		"Include $DIR/more\n":                       "more:1 has a Match block",
		"Include $DIR/mor[a-f]\n":                   "more:1 has a Match block",
		"Include $DIR/config\n":                     "included by too many files",
		"Include ${HOME}/x\n":                       ":1 has an Include with",
		"Host a?\n":                                 ":1 has a Host pattern",
		"Host a\tb\n":                               ":1 has a Host pattern",
		"Host 'a'\n":                                ":1 has a Host pattern",
		"User a#b\n":                                `:1 has a "#"`,
		"ProxyCommand \"a\" \"b\"\n":                ":1 has a command",
		"ProxyCommand a # b\n":                      ":1 has a command",
		"IdentityFile '/a'\n":                       ":1 has quotes",
		"UserKnownHostsFile \"/a b\"\n":             ":1 has quotes",
		"Ciphers +aes128-cbc\n":                     ":1 has algorithms",
		"MACs hmac-*\n":                             ":1 has algorithms",
		"CanonicalizeHostname yes\n":                "canonicalizehostname yes",
		"ProxyJump a\nProxyCommand b\n":             "both a ProxyJump and a ProxyCommand",
		"ControlPath /run/%C\nIdentityFile /%C\n":   "%C",
		"User a # Match\nLocalCommand echo \"#'x\n": "",
		"ProxyCommand sh -c 'nc \"%h\" %p'\n":       "",
	} {
		file, _ := configured(t, text, "Match all\n")
		_, err := readSettings(file, destination{name: "prod", host: "prod"})
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: got %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	if _, err := readSettings(filepath.Join(t.TempDir(), "none"), destination{name: "prod", host: "prod"}); err == nil {
		t.Error("a file that was named and is not there is read")
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
	if len(lines) != 1 || len(lines[0]) != LineCap {
		t.Errorf("%d lines, the first of %d bytes", len(lines), len(lines[0]))
	}
}
