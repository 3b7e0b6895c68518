package remote

import (
	"errors"
	"testing"
)

// sudoer is a host whose sudo does what the shell does, and asks for a password first;
// ask answers it.
func sudoer(t *testing.T, shell string, ask func(string) (string, error)) *Host {
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
	for name, ask := range map[string]func(string) (string, error){
		"nobody gave it": func(string) (string, error) { return "", nobody },
		"it was refused": func(string) (string, error) { return "wrong", nil },
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
