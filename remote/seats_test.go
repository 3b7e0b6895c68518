package remote

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
)

// An sshd that allows few sessions has them all the same, one after the other; files
// that are sent take them too.
func TestFewSessions(t *testing.T) {
	for _, most := range []int32{1, 2} {
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			s, d := newServer(t, func(s *server) { s.most = most })
			h := dial(t, d)
			dir := t.TempDir()
			done := make(chan error)
			const scripts, files = 12, 4
			for range scripts {
				go func() {
					_, err := h.Run(t.Context(), Script{Name: "s", Code: "sleep 0.02"})
					done <- err
				}()
			}
			for i := range files {
				go func() {
					done <- h.Upload(t.Context(), filepath.Join(dir, fmt.Sprint(i)), []byte("x"), 0o600)
				}()
			}
			for range scripts + files {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
			if h.seats.most > 2*int(most) || h.seats.taken != 0 {
				t.Errorf("it has learned that there are %d seats, and has %d taken", h.seats.most, h.seats.taken)
			}
			if n := s.open.Load(); n > most {
				t.Errorf("%d sessions are open", n)
			}
		})
	}
}

// One that allows none, or still counts what we have left, is not waited for for ever.
func TestNoSessions(t *testing.T) {
	s, d := newServer(t, func(s *server) { s.most = 1 })
	s.open.Store(1)
	h := dial(t, d)
	_, err := h.Run(t.Context(), Script{Name: "s", Code: "true"})
	var lost *LostError
	if err == nil || errors.As(err, &lost) || h.Closed() {
		t.Fatalf("a connection that never had a session ended with %v", err)
	}
	contains(t, err.Error(), "box", "MaxSessions", "open failed")

	s.open.Store(0)
	if _, err := h.Run(t.Context(), Script{Name: "s", Code: "true"}); err != nil {
		t.Fatal(err)
	}
	s.open.Store(1)
	_, err = h.Run(t.Context(), Script{Name: "s", Code: "true"})
	if !errors.As(err, &lost) || !lost.Unsent || !h.Closed() {
		t.Errorf("a connection that is full of what was left ended with %v", err)
	}
}

func TestSeats(t *testing.T) {
	s := newSeats(8)
	for range 3 {
		if err := s.take(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if s.refused() || s.most != 2 {
		t.Errorf("there are two others, and %d seats", s.most)
	}
	s.leave()
	if !s.refused() || s.most != 2 || s.taken != 0 {
		t.Errorf("there is nobody else, %d seats and %d taken", s.most, s.taken)
	}
}
