package remote

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"
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
			if h.seats.most > 2*int(most) || h.seats.taken > int(most) || !h.seats.scarce() {
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
	for s.open.Load() != 0 { // the shell that waits is given up
		h.seats.mu.Lock()
		h.seats.evict()
		h.seats.mu.Unlock()
		time.Sleep(10 * time.Millisecond)
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
		if _, err := s.take(t.Context(), nil); err != nil {
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

// A shell that is ready is taken before one that came later, and is still being opened.
func TestReadyShellFirst(t *testing.T) {
	_, d := newServer(t)
	h := dial(t, d)
	if _, err := h.Run(t.Context(), Script{Name: "s", Code: "true"}); err != nil {
		t.Fatal(err)
	}
	h.seats.mu.Lock()
	ready, opening := h.seats.idle[0], h.newShell(false)
	h.seats.taken++
	h.seats.idle = append(h.seats.idle, opening)
	all := func(*shell) int { return 0 }
	first, second, third := h.seats.pick(all), h.seats.pick(all), h.seats.pick(all)
	h.seats.mu.Unlock()
	if first != ready || second != opening || third != nil {
		t.Errorf("the ready one is taken first: %t, then the other: %t, and then %v", first == ready, second == opening, third)
	}
}

// Of several shells that wait, a script goes to the one that has most of what it begins with.
func TestShellWithPartsFirst(t *testing.T) {
	_, d := newServer(t)
	h := dial(t, d)
	const part = "part() { echo part; }\n"
	with := Script{Name: "with", Code: part + "sleep 0.2; part", Parts: []string{part}}
	// Both at once: there are two shells then.
	var both sync.WaitGroup
	for _, script := range []Script{with, {Name: "without", Code: "sleep 0.2"}} {
		both.Go(func() {
			if _, err := h.Run(t.Context(), script); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	if n := len(h.seats.idle); n != 2 {
		t.Fatalf("%d shells wait", n)
	}
	h.seats.mu.Lock()
	defer h.seats.mu.Unlock()
	for range 2 {
		sh := h.seats.pick(func(sh *shell) int { return sh.spares(&with) })
		if _, has := sh.parts[part]; !has {
			t.Error("it goes to a shell that would have to be sent the part")
		}
		h.seats.idle = append([]*shell{sh}, h.seats.idle...)
	}
}
