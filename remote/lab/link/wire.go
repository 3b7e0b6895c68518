package link

import (
	"sync"
	"time"
)

// backlog is how far the sending may run ahead of the wire: the buffer of a common router. Without it the one who sends
// much would have taken the wire for seconds before the other's short word.
const backlog = 50 * time.Millisecond

// wire is one direction of a link, which all its connections share.
type wire struct {
	rate int64

	mu   sync.Mutex
	free time.Time
}

// reserve takes the wire for n bytes, after all that took it before, and returns when the last of them has left.
func (w *wire) reserve(n int, now time.Time) (left time.Time) {
	if w.rate == 0 {
		return now
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.free.Before(now) {
		w.free = now
	}
	w.free = w.free.Add(time.Duration(int64(n) * int64(time.Second) / w.rate))
	return w.free
}
