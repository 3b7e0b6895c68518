package remote

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// seats are the sessions that a connection has room for. How many sshd allows is not
// known before it refuses one.
type seats struct {
	mu          sync.Mutex
	most, taken int
	// left is closed, and made anew, when somebody leaves.
	left chan struct{}
}

func newSeats(most int) *seats { return &seats{most: most, left: make(chan struct{})} }

// take waits for a seat.
func (s *seats) take(ctx context.Context) error {
	for {
		s.mu.Lock()
		left := s.left
		if s.taken < s.most {
			s.taken++
			s.mu.Unlock()
			return nil
		}
		s.mu.Unlock()
		select {
		case <-left:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (s *seats) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stand()
}

func (s *seats) stand() {
	s.taken--
	close(s.left)
	s.left = make(chan struct{})
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
	s.most = min(s.most, s.taken)
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

// seat opens a session once the connection has room for one. Whoever has closed it
// has to leave the seat.
func (h *Host) seat(ctx context.Context) (*seat, error) {
	var since time.Time
	for {
		if err := h.seats.take(ctx); err != nil {
			return nil, err
		}
		seat, err := h.sit(ctx)
		var refused *ssh.OpenChannelError
		switch {
		case err == nil:
			h.seated.Store(true)
			return seat, nil
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
	// OpenChannel waits for the host without a deadline (golang/go#26643).
	err := h.bounded(ctx, "opening a session", func() error {
		channel, requests, err := h.client.OpenChannel("session", nil)
		if err == nil {
			opened <- &seat{Conn: h.client.Conn, channel: channel, requests: requests}
		}
		return err
	})
	if err == nil {
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
