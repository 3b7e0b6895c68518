package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// lock encrypts the key of a Dialer that newServer made, in one round: many take a
// second each.
func lock(t *testing.T, d *Dialer, phrase string) (file string) {
	t.Helper()
	file = filepath.Join(filepath.Dir(d.ConfigFile), "id")
	if out, err := exec.Command("ssh-keygen", "-q", "-p", "-a", "1", "-P", "", "-N", phrase, "-f", file).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	return file
}

// A passphrase is asked for once in a run, and may be mistyped twice.
func TestPassphrase(t *testing.T) {
	const phrase = "canary-open-sesame"
	for _, c := range []struct {
		name    string
		answers []string
		asked   int
		wants   bool
	}{
		{"right", []string{phrase}, 1, true},
		{"at the third attempt", []string{"a", "b", phrase}, 3, true},
		{"never", []string{"a", "b", "c", phrase}, 3, false},
		{"none", []string{"", phrase}, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, d := newServer(t)
			file := lock(t, d, phrase)
			asked := 0
			d.Ask = func(_ context.Context, question string, secret bool) (string, error) {
				contains(t, question, "Passphrase for "+file)
				if !secret {
					t.Error("it would be shown")
				}
				asked++
				return c.answers[asked-1], nil
			}
			for range 2 {
				h, err := d.Dial(t.Context(), "box")
				if (err == nil) != c.wants {
					t.Fatalf("got %v", err)
				}
				if err == nil {
					h.Close()
					continue
				}
				var auth *AuthError
				if !errors.As(err, &auth) || len(auth.Offered) != 0 || len(auth.Skipped) != 1 {
					t.Fatalf("got %+v", err)
				}
				contains(t, strings.Join(auth.Skipped[0].Cure, " "), "ssh-add "+file)
				if text := fmt.Sprintf("%+v %v", *auth, err); strings.Contains(text, "canary") {
					t.Errorf("the passphrase is in %q", text)
				}
			}
			if asked != c.asked {
				t.Errorf("asked %d times", asked)
			}
		})
	}
}

// A question that nobody answered is asked again; one that was answered with nothing is not.
func TestPassphraseUnanswered(t *testing.T) {
	const phrase = "canary-phrase"
	_, d := newServer(t)
	lock(t, d, phrase)
	asked := 0
	d.Ask = func(context.Context, string, bool) (string, error) {
		if asked++; asked == 1 {
			return "", errors.New("no answer within 1m0s")
		}
		return phrase, nil
	}
	var auth *AuthError
	if _, err := d.Dial(t.Context(), "box"); !errors.As(err, &auth) || asked != 1 {
		t.Fatalf("asked %d times: %v", asked, err)
	}
	dial(t, d)

	_, d = newServer(t)
	lock(t, d, phrase)
	asked = 0
	d.Ask = func(context.Context, string, bool) (string, error) {
		asked++
		return "", io.EOF
	}
	for range 2 {
		if _, err := d.Dial(t.Context(), "box"); !errors.As(err, &auth) || asked != 1 {
			t.Errorf("asked %d times: %v", asked, err)
		}
	}
}

// Nobody is asked for the passphrase of a key that the host would not take.
func TestPassphraseOfWrongKey(t *testing.T) {
	_, d := newServer(t, func(s *server) {
		other, _ := newSigner(t)
		s.allowed = other.PublicKey()
	})
	lock(t, d, "phrase")
	d.Ask = func(_ context.Context, question string, _ bool) (string, error) {
		t.Errorf("asked: %s", question)
		return "", nil
	}
	_, err := d.Dial(t.Context(), "box")
	var auth *AuthError
	if !errors.As(err, &auth) || len(auth.Offered) != 1 {
		t.Errorf("got %v", err)
	}
}

// BatchMode has nobody asked.
func TestBatchMode(t *testing.T) {
	_, d := newServer(t)
	lock(t, d, "phrase")
	configure(t, d, "User tester", "User tester\n    BatchMode yes")
	d.Ask = func(_ context.Context, question string, _ bool) (string, error) {
		t.Errorf("asked: %s", question)
		return "", nil
	}
	_, err := d.Dial(t.Context(), "box")
	var auth *AuthError
	if !errors.As(err, &auth) || len(auth.Skipped) != 1 {
		t.Errorf("got %v", err)
	}
	configure(t, d, "Checking accept-new", "Checking ask")
	write(t, filepath.Join(filepath.Dir(d.ConfigFile), "known_hosts"), "")
	_, err = (&Dialer{ConfigFile: d.ConfigFile, Ask: d.Ask}).Dial(t.Context(), "box")
	var unknown *HostKeyError
	if !errors.As(err, &unknown) {
		t.Errorf("got %v", err)
	}
}

// A key on a token is touched for each connection, and the operator is told each time.
func TestToken(t *testing.T) {
	key := newToken(t)
	_, d := newServer(t, func(s *server) { s.allowed = key.public })
	configure(t, d, "IdentityAgent none", "IdentityAgent "+key.serve(t))
	told := listen(d)
	dial(t, d)
	if got := dial(t, d).Key(); got != ssh.FingerprintSHA256(key.public) {
		t.Errorf("the key is %s", got)
	}
	if n := strings.Count(told(), "touch your key for box"); n != 2 {
		t.Errorf("told %d times: %s", n, told())
	}
}

func TestHostIsKnown(t *testing.T) {
	s, d := newServer(t)
	h := dial(t, d)
	if !same(h.hostKey, (*s.hostKey.Load()).PublicKey()) || h.User() != "tester" {
		t.Errorf("it is %s's %s", h.User(), h.HostKey())
	}
}
