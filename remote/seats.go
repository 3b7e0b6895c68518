package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// seats are the sessions that a connection has room for, and the shells that wait on
// some of them. How many sshd allows is not known before it refuses one.
type seats struct {
	mu          sync.Mutex
	most, taken int
	idle        []*shell
	// left is closed, and made anew, when somebody leaves a seat or waits on it.
	left chan struct{}
	// few is closed once it is known that there are fewer than fewSessions.
	few chan struct{}
}

const (
	// idleShells is how many shells of a kind wait at most, standingShells how many are
	// opened before they are wanted: one for a script, and one for what is beside it.
	idleShells, standingShells = 3, 2
	// fewSessions are so few that none is to be had for as long as a run lasts: two
	// shells, a stream of store paths, and one to spare.
	fewSessions = 4
)

// ErrFewSessions ends a script that lasts on a host that has few sessions.
var ErrFewSessions = errors.New("the host has few sessions (MaxSessions)")

func newSeats(most int) *seats {
	return &seats{most: most, left: make(chan struct{}), few: make(chan struct{})}
}

// take waits for a seat: one with a shell on it that fits or, if it is nil, an empty
// one. A shell that does not fit is given up where there is no other seat. fit is how well
// one does; one that does not is below zero.
func (s *seats) take(ctx context.Context, fit func(*shell) int) (*shell, error) {
	for {
		s.mu.Lock()
		left := s.left
		if sh := s.pick(fit); sh != nil {
			s.mu.Unlock()
			return sh, nil
		}
		if s.taken < s.most {
			s.taken++
			s.mu.Unlock()
			return nil, nil
		}
		s.evict()
		s.mu.Unlock()
		select {
		case <-left:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// pick takes the shell that waits and fits best. Of several, the last that came is the
// likeliest to be still there; one that is still being opened takes two round trips more.
func (s *seats) pick(fit func(*shell) int) (best *shell) {
	var opening *shell
	most := -1
	for _, sh := range slices.Backward(slices.Clone(s.idle)) {
		switch how := fit(sh); {
		case how < 0:
		case !sh.isOpen():
			if opening == nil {
				opening = sh
			}
		case !sh.usable():
			s.remove(sh)
			sh.fail(errGivenUp)
		case how > most:
			best, most = sh, how
		}
	}
	if best == nil {
		best = opening
	}
	s.remove(best)
	return best
}

func (s *seats) remove(sh *shell) {
	s.idle = slices.DeleteFunc(s.idle, func(other *shell) bool { return other == sh })
}

// evict gives up a shell that waits.
func (s *seats) evict() {
	for i, sh := range s.idle {
		if sh.isOpen() {
			s.idle = slices.Delete(s.idle, i, i+1)
			go sh.retire()
			return
		}
	}
}

// keep has a shell wait for the next script.
func (s *seats) keep(sh *shell) {
	if !sh.usable() {
		if sh.isOpen() {
			sh.fail(errGivenUp)
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if sh.isOpen() && s.alike(sh) >= idleShells {
		go sh.retire()
		return
	}
	sh.waited = true
	s.idle = append(s.idle, sh)
	s.tell()
}

// tell has all that wait for a seat look again.
func (s *seats) tell() {
	close(s.left)
	s.left = make(chan struct{})
}

// drop has a shell not wait any more.
func (s *seats) drop(sh *shell) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(sh)
}

// gone frees the seat of a shell that has ended.
func (s *seats) gone(sh *shell) {
	s.drop(sh)
	s.leave()
}

// reserve takes a seat for a shell that waits from the first, if there is one left, and
// fewer than most wait that are like it.
func (s *seats) reserve(sh *shell, most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken >= s.most || s.alike(sh) >= most {
		return false
	}
	s.taken++
	sh.waited = true
	s.idle = append(s.idle, sh)
	return true
}

// alike counts the shells that wait and are of a kind.
func (s *seats) alike(sh *shell) (n int) {
	for _, other := range s.idle {
		if other.becomes == sh.becomes {
			n++
		}
	}
	return n
}

// scarce reports whether there are few.
func (s *seats) scarce() bool {
	select {
	case <-s.few:
		return true
	default:
		return false
	}
}

func (s *seats) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stand()
}

func (s *seats) stand() {
	s.taken--
	s.tell()
}

// refused gives back a seat that the host does not have, and learns from it: there
// are as many as others sit on. It reports whether there are no others, of whom one
// could be waited for.
func (s *seats) refused() (alone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stand()
	if s.taken == 0 {
		return true
	}
	if s.most = min(s.most, s.taken); s.most < fewSessions && !s.scarce() {
		close(s.few)
	}
	return false
}

const (
	// refusedFor is how long a host that has no session of ours may go on refusing
	// one, since it may still count one that we have ended; refusedPause is how
	// long it is left in peace meanwhile.
	refusedFor   = 5 * time.Second
	refusedPause = 200 * time.Millisecond
)

// seat is the connection as those see it who open one session on it: it is open
// already.
type seat struct {
	ssh.Conn
	channel  ssh.Channel
	requests <-chan *ssh.Request
}

func (s *seat) OpenChannel(string, []byte) (ssh.Channel, <-chan *ssh.Request, error) {
	return s.channel, s.requests, nil
}

// client is for who wants to be given a whole connection.
func (s *seat) client() *ssh.Client { return &ssh.Client{Conn: s} }

// shell is one that waits and fits a script or, with fresh, a new one. Whoever has it has
// to keep it or to end it.
func (h *Host) shell(ctx context.Context, t *talk, fresh bool) (*shell, error) {
	becomes := t.script.Root && h.Become != nil
	fit := func(sh *shell) int {
		if fresh || t.script.Loan != nil || sh.becomes != becomes {
			return -1
		}
		return sh.spares(t.script)
	}
	var since time.Time
	for {
		if t.script.Lasts && h.seats.scarce() {
			return nil, ErrFewSessions
		}
		sh, err := h.seats.take(ctx, fit)
		if err != nil {
			return nil, err
		}
		if sh != nil {
			if err := sh.wait(ctx); !errors.Is(err, errGivenUp) {
				return sh, err
			}
			continue
		}
		seat, err := h.sit(ctx)
		var refused *ssh.OpenChannelError
		switch {
		case err == nil:
			h.seated.Store(true)
			sh := h.newShell(becomes)
			return sh, sh.open(ctx, seat, t.script.Loan)
		case !errors.As(err, &refused):
			h.seats.leave()
			return nil, h.unsent(ctx, err)
		case !h.seats.refused():
			continue // it is the others' turn to leave
		case since.IsZero():
			since = time.Now()
		case time.Since(since) > refusedFor:
			return nil, h.full(refused)
		}
		select {
		case <-time.After(refusedPause):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// FewSessions reports whether it is known that the host has too few for a script that
// lasts.
func (h *Host) FewSessions() bool { return h.seats.scarce() }

// Stand opens a shell in the background, so that it waits by the time it is wanted.
func (h *Host) Stand(root bool) { h.stand(root, standingShells) }

// stand is Stand, where fewer than so many wait.
func (h *Host) stand(root bool, most int) {
	sh := h.newShell(root && h.Become != nil)
	if h.seats.reserve(sh, most) {
		go sh.stand()
	}
}

// stand opens a shell that nobody waits for. Whoever finds it waits no longer than for
// one of their own.
func (sh *shell) stand() {
	ctx, cancel := context.WithTimeoutCause(context.Background(), becomeTimeout, errGivenUp)
	defer cancel()
	h := sh.host
	seat, err := h.sit(ctx)
	if err == nil {
		h.seated.Store(true)
		_ = sh.open(ctx, seat, nil) // it keeps its fault
	} else {
		var refused *ssh.OpenChannelError
		if errors.As(err, &refused) {
			h.seats.refused()
			sh.fault = errGivenUp
		} else {
			h.seats.leave()
			sh.fault = h.unsent(ctx, err)
		}
		close(sh.opened)
	}
	if sh.fault != nil {
		h.seats.drop(sh)
	}
	// It can be given up now by those that it does not fit.
	h.seats.mu.Lock()
	defer h.seats.mu.Unlock()
	h.seats.tell()
}

// full is the error of a connection on which no session can be opened. One that had
// some may be full of what we have left and the host has not; a new one is not.
func (h *Host) full(refused *ssh.OpenChannelError) error {
	err := fmt.Errorf("its sshd opens no session (MaxSessions): %s", oneLine(refused.Message))
	if !h.seated.Load() {
		return fmt.Errorf("%s: %w", h.name, err)
	}
	h.conn.Close()
	<-h.done
	return &LostError{Host: h.name, Err: err, Unsent: true}
}

// sit opens a session.
func (h *Host) sit(ctx context.Context) (*seat, error) {
	opened := make(chan *seat, 1)
	began := time.Now()
	// OpenChannel waits for the host without a deadline (golang/go#26643).
	err := h.bounded(ctx, "opening a session", func() error {
		channel, requests, err := h.client.OpenChannel("session", nil)
		if err == nil {
			opened <- &seat{Conn: h.client.Conn, channel: channel, requests: requests}
		}
		return err
	})
	if err == nil {
		h.uplink.met(time.Since(began))
		return <-opened, nil
	}
	go func() { // one that is opened when nobody wants it any more
		select {
		case seat := <-opened:
			seat.channel.Close()
		case <-h.done:
		}
	}()
	return nil, err
}
