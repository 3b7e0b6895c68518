package remote

import (
	"context"
	"errors"
	"testing"
	"time"
)

// sudoer is a host whose sudo does what the shell does, and asks for a password first;
// ask answers it.
func sudoer(t *testing.T, shell string, ask func(context.Context, string) (string, error)) *Host {
	t.Helper()
	_, d := newServer(t, func(s *server) { s.shell = []string{"/bin/sh", "-c", shell} })
	h := dial(t, d)
	become, err := NewBecome("sudo", "", ask)
	if err != nil {
		t.Fatal(err)
	}
	h.Become = become
	return h
}

// wants is a sudo that wants a password, and takes none.
const wants = `printf ` + prompt + ` >&2; read -r it; echo sorry >&2; exit 1`

// What came of a password is the same error for every script of the run.
func TestPasswordIsNotToBeHad(t *testing.T) {
	nobody := errors.New("nobody is there")
	for name, ask := range map[string]func(context.Context, string) (string, error){
		"nobody gave it": func(context.Context, string) (string, error) { return "", nobody },
		"it was refused": func(context.Context, string) (string, error) { return "wrong", nil },
	} {
		h := sudoer(t, wants, ask)
		first := h.TryBecome(t.Context())
		second := h.TryBecome(t.Context())
		for _, err := range []error{first, second} {
			var sudo *SudoError
			if !errors.As(err, &sudo) || sudo.Host != "box" || sudo.User != "tester" || errors.Is(err, nobody) == sudo.Asked {
				t.Errorf("%s: got %v", name, err)
			}
		}
		if first != nil && second != nil && first.Error() != second.Error() {
			t.Errorf("%s: first %q, then %q", name, first, second)
		}
	}
}

// Whoever waits while the operator is asked waits no longer than for their own run.
func TestPasswordIsAskedFor(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan string)
	h := sudoer(t, wants, func(context.Context, string) (string, error) {
		close(asked)
		return <-answer, nil
	})
	first := make(chan error)
	go func() { first <- h.TryBecome(t.Context()) }()
	<-asked
	enough := errors.New("enough")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, enough)
	defer cancel()
	second := make(chan error, 1)
	go func() { second <- h.TryBecome(ctx) }()
	select {
	case err := <-second:
		if !errors.Is(err, enough) {
			t.Errorf("got %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("it waits for the answer")
	}
	answer <- "wrong"
	var sudo *SudoError
	if err := <-first; !errors.As(err, &sudo) || !sudo.Asked {
		t.Errorf("got %v", err)
	}
}

// A sudo that hangs is to blame, and not the login shell before it.
func TestSudoHangs(t *testing.T) {
	for name, c := range map[string]struct {
		shell string
		asked bool
	}{
		"at once":           {"echo no network >&2; exec sleep 60", false},
		"over the password": {`printf ` + prompt + ` >&2; read -r it; echo no network >&2; exec sleep 60`, true},
	} {
		h := sudoer(t, c.shell, func(context.Context, string) (string, error) { return "right", nil })
		h.patience = 500 * time.Millisecond
		err := h.TryBecome(t.Context())
		var sudo *SudoError
		if !errors.As(err, &sudo) || sudo.Asked != c.asked {
			t.Errorf("%s: got %v", name, err)
			continue
		}
		contains(t, err.Error(), "box: ", "did not get to the script within 500ms", "no network")
		if h.Become.refused() != nil {
			t.Errorf("%s: the password was not refused", name)
		}
	}
}
