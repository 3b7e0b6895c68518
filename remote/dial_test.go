package remote

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// A new host key is recorded, and a later one in its place stops everything.
func TestHostKeyChanges(t *testing.T) {
	s, d := newServer(t)
	dial(t, d)
	known := filepath.Join(filepath.Dir(d.ConfigFile), "known_hosts")
	record := read(t, known)
	contains(t, record, "127.0.0.1", "ssh-ed25519")

	before := ssh.FingerprintSHA256((*s.hostKey.Load()).PublicKey())
	s.changeHostKey()
	_, err := d.Dial(t.Context(), "box")
	var changed *HostKeyError
	if !errors.As(err, &changed) || len(changed.Known) != 1 {
		t.Fatalf("got %v", err)
	}
	contains(t, err.Error(), "has changed", before, changed.Got, known+":1")
	if read(t, known) != record {
		t.Error("the changed key was recorded")
	}
}

func TestHostKeyPolicy(t *testing.T) {
	cases := []struct {
		name, strict string
		ask          func(context.Context, string, bool) (string, error)
		wants        bool
	}{
		{"accept-new", "accept-new", nil, true},
		{"no is taken as accept-new", "no", nil, true},
		{"yes", "yes", func(context.Context, string, bool) (string, error) { return "yes", nil }, false},
		{"ask, nobody there", "ask", nil, false},
		{"ask, yes", "ask", func(context.Context, string, bool) (string, error) { return "yes", nil }, true},
		{"ask, no", "ask", func(context.Context, string, bool) (string, error) { return "no", nil }, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, d := newServer(t)
			text := strings.Replace(read(t, d.ConfigFile), "Checking accept-new", "Checking "+c.strict, 1)
			write(t, d.ConfigFile, text)
			d.Ask = c.ask
			h, err := d.Dial(t.Context(), "box")
			if (err == nil) != c.wants {
				t.Fatalf("got %v", err)
			}
			if err == nil {
				h.Close()
				return
			}
			var unknown *HostKeyError
			if !errors.As(err, &unknown) || len(unknown.Known) > 0 || !strings.Contains(unknown.Line, "ssh-ed25519") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAuthFails(t *testing.T) {
	_, d := newServer(t, func(s *server) {
		other, _ := newSigner(t)
		s.allowed = other.PublicKey()
	})
	_, err := d.Dial(t.Context(), "box")
	var auth *AuthError
	if !errors.As(err, &auth) || len(auth.Offered) != 1 {
		t.Fatalf("got %v", err)
	}
	contains(t, err.Error(), "tester@127.0.0.1", "SHA256:")
}

func TestKeyIsNamed(t *testing.T) {
	s, d := newServer(t)
	if got, want := dial(t, d).Key(), ssh.FingerprintSHA256(s.allowed); got != want {
		t.Errorf("the key is %s, want %s", got, want)
	}
}

// A server that accepts and says nothing: x/crypto's own timeout would be over
// by then.
func TestHandshakeStalls(t *testing.T) {
	_, d := newServer(t, func(s *server) { s.stall = "accept" })
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := d.Dial(ctx, "box")
	var failed *DialError
	if !errors.As(err, &failed) {
		t.Errorf("got %v", err)
	}
}

// A server that falls silent at any step of the handshake: in its greeting, in the
// exchange of keys, before or after it was shown a key.
func TestHandshakeStallsAnywhere(t *testing.T) {
	const plenty = 1 << 20
	whole := new(atomic.Int64)
	whole.Store(plenty)
	_, d := newServer(t, func(s *server) { s.voice = whole })
	dial(t, d)
	said := plenty - whole.Load()
	const steps = 12
	for i := range int64(steps) {
		t.Run(fmt.Sprintf("%d of %d", i, steps), func(t *testing.T) {
			t.Parallel()
			voice := new(atomic.Int64)
			voice.Store(said * i / steps)
			_, d := newServer(t, func(s *server) { s.voice = voice })
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("long enough"))
			defer cancel()
			h, err := d.Dial(ctx, "box")
			var failed *DialError
			if !errors.As(err, &failed) || !strings.Contains(err.Error(), "long enough") {
				t.Errorf("after %d of %d bytes: %v, %v", said*i/steps, said, h, err)
			}
		})
	}
}

// Nor is it waited for as long as for a passphrase.
func TestHostIsSilent(t *testing.T) {
	_, d := newServer(t, func(s *server) { s.stall = "accept" })
	write(t, d.ConfigFile, read(t, d.ConfigFile)+"\n    ConnectTimeout 1\n")
	began := time.Now()
	_, err := d.Dial(t.Context(), "box")
	var failed *DialError
	if !errors.As(err, &failed) || !failed.Fleeting() {
		t.Fatalf("got %v", err)
	}
	contains(t, err.Error(), "said nothing for 1s")
	if took := time.Since(began); took > handshakeTimeout/2 {
		t.Errorf("it took %s", took)
	}
}

func TestDialRefused(t *testing.T) {
	_, d := newServer(t)
	h := dial(t, d)
	_, err := h.DialContext(t.Context(), "tcp", "127.0.0.1:1")
	if err == nil || strings.ContainsRune(err.Error(), 0x1b) {
		t.Fatalf("got %q", err)
	}
	var lost *LostError
	if errors.As(err, &lost) {
		t.Errorf("a service that refuses was taken for a lost host: %v", err)
	}
}
