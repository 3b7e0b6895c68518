package remote

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// configure changes a line of the configuration that newServer wrote.
func configure(t *testing.T, d *Dialer, old, line string) {
	t.Helper()
	text := read(t, d.ConfigFile)
	contains(t, text, old)
	write(t, d.ConfigFile, strings.Replace(text, old, line, 1))
}

// listen takes down what is told.
func listen(d *Dialer) (told func() string) {
	var list []string
	d.Tell = func(text string) { list = append(list, text) }
	return func() string { return strings.Join(list, "\n") }
}

// A new key is recorded in a line of its own, under the name that it is looked for.
func TestNewKeyIsRecorded(t *testing.T) {
	for _, c := range []struct{ name, option, begins string }{
		{"port", "HashKnownHosts no", "[127.0.0.1]:"},
		{"alias", "HostKeyAlias Box-Key\n    HashKnownHosts no", "box-key ssh-ed25519 "},
		{"hashed", "HashKnownHosts yes", "|1|"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, d := newServer(t)
			configure(t, d, "User tester", "User tester\n    "+c.option)
			told := listen(d)
			known := filepath.Join(filepath.Dir(d.ConfigFile), "known_hosts")
			write(t, known, "# no end")
			dial(t, d)
			contains(t, told(), "is recorded in "+known)
			record := read(t, known)
			if lines := strings.Split(record, "\n"); len(lines) != 3 || lines[0] != "# no end" || !strings.HasPrefix(lines[1], c.begins) {
				t.Errorf("it is recorded as %q", record)
			}
			configure(t, d, "Checking accept-new", "Checking yes")
			dial(t, d)
			if read(t, known) != record {
				t.Error("it was recorded again")
			}
		})
	}
}

// The line of a refusal is the record that is missing.
func TestLineOfRefusal(t *testing.T) {
	for _, option := range []string{"HashKnownHosts yes", "HashKnownHosts no", "HostKeyAlias box-key"} {
		_, d := newServer(t)
		configure(t, d, "User tester", "User tester\n    "+option)
		configure(t, d, "Checking accept-new", "Checking ask")
		_, err := d.Dial(t.Context(), "box")
		var unknown *HostKeyError
		if !errors.As(err, &unknown) {
			t.Fatalf("got %v", err)
		}
		write(t, unknown.File, unknown.Line+"\n")
		dial(t, d)
	}
}

// What could not be recorded is told, and holds for the run.
func TestNewKeyCannotBeRecorded(t *testing.T) {
	s, d := newServer(t)
	configure(t, d, "/known_hosts", "") // the folder
	told := listen(d)
	dial(t, d)
	contains(t, told(), "could not be recorded")
	dial(t, d)
	s.changeHostKey()
	_, err := d.Dial(t.Context(), "box")
	var changed *HostKeyError
	if !errors.As(err, &changed) || len(changed.Known) != 1 {
		t.Fatalf("got %v", err)
	}
	contains(t, err.Error(), "has changed", "accepted a moment ago")
}

// Nobody is asked twice, and the fingerprint is an answer.
func TestNewKeyIsAskedForOnce(t *testing.T) {
	s, d := newServer(t)
	configure(t, d, "Checking accept-new", "Checking ask")
	configure(t, d, "/known_hosts", "")
	asked := 0
	d.Ask = func(_ context.Context, question string, secret bool) (string, error) {
		asked++
		print := ssh.FingerprintSHA256((*s.hostKey.Load()).PublicKey())
		contains(t, question, print, "127.0.0.1:", "ssh-ed25519")
		return print + "\n", nil
	}
	dial(t, d)
	dial(t, d)
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

func TestNoFileForNewKeys(t *testing.T) {
	_, d := newServer(t)
	configure(t, d, "UserKnownHostsFile "+filepath.Dir(d.ConfigFile)+"/known_hosts", "UserKnownHostsFile none")
	_, err := d.Dial(t.Context(), "box")
	var unknown *HostKeyError
	if !errors.As(err, &unknown) || unknown.File != "" || unknown.Line != "" {
		t.Errorf("got %v", err)
	}
}

func TestKnownHostsCommandHangs(t *testing.T) {
	_, d := newServer(t)
	configure(t, d, "User tester", "User tester\n    KnownHostsCommand /bin/sh -c \"sleep 60; :\"")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := d.Dial(ctx, "box"); err == nil || time.Since(began) > commandTimeout/2 {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
}

// When the connection's keys are exchanged anew, the host's own is not looked up
// again, and another is refused.
func TestHostKeyIsCheckedAnew(t *testing.T) {
	d := &Dialer{ConfigFile: filepath.Join(t.TempDir(), "config")}
	known := filepath.Join(filepath.Dir(d.ConfigFile), "known_hosts")
	k, err := d.hostKeys(t.Context(), &settings{alias: "box", host: "box", port: "22", strict: "accept-new", userKnownHosts: []string{known}})
	if err != nil {
		t.Fatal(err)
	}
	signer, _ := newSigner(t)
	for range 2 {
		if err := k.check(t.Context(), signer.PublicKey()); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(read(t, known), "\n"); n != 1 {
		t.Errorf("it is recorded %d times", n)
	}
	other, _ := newSigner(t)
	var changed *HostKeyError
	if err := k.check(t.Context(), other.PublicKey()); !errors.As(err, &changed) || len(changed.Known) == 0 {
		t.Errorf("got %v", err)
	}
}

// Without ssh too, an authority's signature with SHA-1 does not count.
func TestAuthoritySignsWithSHA1(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	write(t, file, "")
	s, err := readSettings(file, destination{name: "box", host: "box"})
	if err != nil {
		t.Fatal(err)
	}
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	list := records{{marker: markAuthority, key: authority.PublicKey()}}
	for algorithm, good := range map[string]bool{ssh.KeyAlgoRSA: false, ssh.KeyAlgoRSASHA256: true} {
		signer, err := ssh.NewSignerWithAlgorithms(authority.(ssh.AlgorithmSigner), []string{algorithm})
		if err != nil {
			t.Fatal(err)
		}
		cert := &ssh.Certificate{Key: makeSigner(t).PublicKey(), CertType: ssh.HostCert, ValidPrincipals: []string{"box"}, ValidBefore: ssh.CertTimeInfinity}
		if err := cert.SignCert(rand.Reader, signer); err != nil {
			t.Fatal(err)
		}
		if err := (&hostKeys{settings: s}).vouched([]records{list}, cert); (err == nil) != good {
			t.Errorf("%s: got %v", algorithm, err)
		}
	}
}

// TestSplitArguments goes by OpenSSH's argv_split and its tests.
func TestSplitArguments(t *testing.T) {
	for text, want := range map[string][]string{
		``:                        nil,
		`  `:                      nil,
		"/bin/a  b\tc ":           {"/bin/a", "b", "c"},
		`"a b" 'c d' e"f g"h`:     {"a b", "c d", "ef gh"},
		`"a 'b" 'c "d'`:           {"a 'b", `c "d`},
		`a\ b "c\ d" \" \' \\ \x`: {"a b", `c\ d`, `"`, `'`, `\`, `\x`},
		`"" a`:                    {"", "a"},
	} {
		if got, ok := splitArguments(text); !ok || !slices.Equal(got, want) {
			t.Errorf("%q became %q, %t", text, got, ok)
		}
	}
	for _, text := range []string{`"a`, `a 'b`, `"a\"`} {
		if got, ok := splitArguments(text); ok {
			t.Errorf("%q became %q", text, got)
		}
	}
}

// FuzzKnownHosts: each line is a record, is told or is nothing, whatever is in it,
// and what is recorded is found again.
func FuzzKnownHosts(f *testing.F) {
	key, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(make([]byte, 32)).Public())
	if err != nil {
		f.Fatal(err)
	}
	line := string(ssh.MarshalAuthorizedKey(key))
	for _, hosts := range []string{"box ", "BOX,!b* ", "|1|AAAA|AAAA ", "|1||", "@revoked * ", "@cert-authority  b?x\t", "@mark box ", ", ", "[box]:22 ", "# ", ""} {
		f.Add([]byte(hosts + line))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		told := 0
		list := parseRecords("known_hosts", text, func(string, ...any) { told++ })
		lines := 0
		for line := range strings.Lines(string(text)) {
			if line := strings.TrimSpace(line); line != "" && line[0] != '#' {
				lines++
			}
		}
		if len(list)+told != lines {
			t.Errorf("%d lines are %d records, and %d are told", lines, len(list), told)
		}
		list.of("box").weigh(key)
		own, err := parseRecord("here", []byte("box "+line))
		if err != nil || append(list.of("box"), own).weigh(key) != known {
			t.Errorf("what is recorded is not found: %v", err)
		}
	})
}
