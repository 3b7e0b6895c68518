package remote

import (
	"context"
	"io"
	"sync"
	"time"
)

// uplink is what is known of the way to a host, and bounds what is under way on it: what
// is sent after a stream of store paths, as heartbeats and questions are, would wait
// behind all that the buffers between here and there take. The host echoes a request, and
// with that all that was sent before it.
type uplink struct {
	host *Host

	mu sync.Mutex
	// sent counts the bytes that scripts were sent, echoed those that surely arrived.
	sent, echoed int64
	// window is the most that may be under way; zero before anything was measured.
	window int64
	// echoing says that an echo is waited for, moved is closed when it has come.
	echoing bool
	moved   chan struct{}
	// deaf says that the host answers no such requests: nothing is bounded then.
	deaf bool
	// patience is echoTimeout.
	patience time.Duration
	// since is when the last echo came or, if nothing was under way then, when something
	// was sent; asked is when the last one, or this, was asked for.
	since, asked time.Time
	// from is how much was sent before what is timed since then, and last when something was
	// sent: scripts with pauses between them tell nothing of how fast the link is.
	from int64
	last time.Time
	// rtt is the shortest echo, rate the bytes that arrive in a second.
	rtt  time.Duration
	rate float64
	// wasProbed says that the rate is at least what a probe had.
	wasProbed bool
}

const (
	// underWay is how long what is under way may take to arrive.
	underWay = 2 * time.Second
	// The window is smallest before the way is known. A large one costs a fast link
	// nothing: the window of a channel is 2 MiB.
	leastWindow, mostWindow = 64 << 10, 8 << 20
	// echoPart is the part of the window that is worth an echo.
	echoPart = 8
	// quiet is a pause after which what was sent before is not timed with what follows, and
	// leastTimed the fewest bytes whose time says something.
	quiet      = 50 * time.Millisecond
	leastTimed = leastWindow / echoPart
	// echoTimeout is how long an echo may take before the host counts as deaf to it. A
	// connection that is dead has ended by then.
	echoTimeout = 30 * time.Second
)

// copy writes all of the input to a shell.
func (u *uplink) copy(sh *shell, input io.Reader) error {
	buffer := make([]byte, leastWindow/2)
	for {
		n, err := input.Read(buffer)
		if n > 0 {
			if _, err := u.write(sh, buffer[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// write writes to a shell what there is room for on the way, until all is written.
func (u *uplink) write(sh *shell, b []byte) (wrote int, err error) {
	for len(b) > wrote {
		n := u.room(len(b)-wrote, sh.ended)
		if n == 0 {
			return wrote, io.EOF
		}
		n, err := sh.stdin.Write(b[wrote : wrote+n])
		wrote += n
		u.passed(n)
		if err != nil {
			return wrote, err
		}
	}
	return wrote, nil
}

// room waits until some of n bytes may be sent. It is zero if the session ends first.
func (u *uplink) room(n int, ended <-chan struct{}) int {
	for waited := false; ; waited = true {
		u.mu.Lock()
		// Who waits for room has not paused: the link is full.
		paused := !u.echoing && !waited && time.Since(u.last) > quiet+2*u.rtt
		if now := time.Now(); paused || u.sent == u.echoed {
			u.since, u.asked, u.from = now, now, u.sent
		}
		free := max(u.window, leastWindow) - (u.sent - u.echoed)
		moved, bounded := u.moved, u.echoing && !u.deaf
		u.mu.Unlock()
		switch {
		case !bounded:
			return n
		case free > 0:
			return int(min(int64(n), free))
		}
		select {
		case <-moved:
		case <-ended:
			return 0
		case <-u.host.done:
			return 0
		}
	}
}

// passed counts what was sent, and has the host echo it once that is worth it.
func (u *uplink) passed(n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sent += int64(n)
	u.last = time.Now()
	if u.echoing || u.deaf || u.sent-u.echoed < max(u.window, leastWindow)/echoPart {
		return
	}
	u.echoing, u.moved = true, make(chan struct{})
	before := u.asked
	u.asked = time.Now()
	go u.await(u.sent, u.asked.Sub(before))
}

// await waits for the echo of all up to a byte, which were given to the connection in
// that time, and learns from it.
func (u *uplink) await(to int64, given time.Duration) {
	late := time.AfterFunc(u.patience, func() { u.came(to, 0, 0) })
	defer late.Stop()
	u.host.asking <- struct{}{}
	defer func() { <-u.host.asking }()
	took, err := u.host.request(nil)
	if err == nil && late.Stop() {
		u.came(to, given, took)
	}
}

// came takes note of an echo, which took that long; zero if it did not come.
func (u *uplink) came(to int64, given, took time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.deaf = u.deaf || took == 0
	now := time.Now()
	if timed := to - max(u.echoed, u.from); took > 0 && timed >= leastTimed {
		// An echo that came late makes the time to the next look short.
		u.learn(float64(timed)/max(now.Sub(u.since), given).Seconds(), took)
	}
	u.echoed, u.echoing, u.since = to, false, now
	close(u.moved)
}

// learn sets the window by how many bytes have arrived in a second since the echo before.
// The link may have had nothing to do for a part of that: less than was thought possible
// is believed only of an echo that took long.
func (u *uplink) learn(rate float64, took time.Duration) {
	if rate > u.rate || took > underWay/2 {
		u.rate = rate
		u.resize()
	}
}

// resize sets the window for the rate. Where a word takes longer there and back than
// usual, it has to be larger to fill the link: an echo at a time is waited for.
func (u *uplink) resize() {
	full := max(underWay, 4*u.rtt).Seconds()
	u.window = min(max(int64(u.rate*full), leastWindow), mostWindow)
}

// request sends what the host answers without doing anything. The caller has asking.
func (h *Host) request(payload []byte) (took time.Duration, err error) {
	began := time.Now()
	if _, _, err = h.client.SendRequest("keepalive@openssh.com", true, payload); err != nil {
		return 0, err
	}
	took = max(time.Since(began), 1)
	if len(payload) == 0 {
		h.uplink.met(took)
	}
	return took, nil
}

// met takes note of how long a word there and back takes.
func (u *uplink) met(took time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.rtt == 0 || took < u.rtt {
		u.rtt = took
	}
}

// echo waits until the host has answered.
func (h *Host) echo(ctx context.Context, payload []byte) (time.Duration, error) {
	select {
	case h.asking <- struct{}{}:
		defer func() { <-h.asking }()
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	return h.request(payload)
}

// Uplink is how long a word to the host and back takes, and how many bytes arrive there
// in a second; zero for what is not known yet.
func (h *Host) Uplink() (rtt time.Duration, bytesPerSecond float64) {
	h.uplink.mu.Lock()
	defer h.uplink.mu.Unlock()
	return h.uplink.rtt, h.uplink.rate
}

// probes are what Measure sends, in bytes: a first one that is at once where it is to be even
// on a slow link, and two, of which the network takes the first in parts, until it has
// learned that it can take more at once.
var probes = [...]int{4 << 10, 32 << 10, 32 << 10}

const (
	// crawl is the rate, in bytes a second, below which no more is probed: that would only
	// be waited for.
	crawl = 40e3
	// jitter is the part of a round trip that two echoes may differ by for no reason: a
	// time below it says nothing of how fast the link is.
	jitter = 10
)

// Measure is Uplink, and finds out what that does not know yet, with as few bytes as
// tell a hotel's wifi from a good line. What it knows from short scripts may be far too
// little, since of their time the distance is most: with probe it makes sure.
func (h *Host) Measure(ctx context.Context, probe bool) (rtt time.Duration, bytesPerSecond float64, err error) {
	if rtt, rate := h.Uplink(); rtt > 0 && rate > 0 && (!probe || h.uplink.isProbed()) {
		return rtt, rate, nil
	}
	err = h.bounded(ctx, "measuring the way there", func() error {
		if _, err := h.echo(ctx, nil); err != nil {
			return err
		}
		for _, size := range probes {
			took, err := h.echo(ctx, make([]byte, size))
			if err != nil {
				return err
			}
			if h.uplink.probed(size, took) < crawl {
				break
			}
		}
		return nil
	})
	rtt, rate := h.Uplink()
	return rtt, rate, err
}

// probed takes note of how long a probe took to be answered, and returns the rate that it had.
func (u *uplink) probed(size int, took time.Duration) (rate float64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	rate = float64(size) / max(took-u.rtt, u.rtt/jitter, time.Millisecond).Seconds()
	u.rate = max(u.rate, rate)
	u.wasProbed = true
	u.resize()
	return rate
}

func (u *uplink) isProbed() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.wasProbed
}
