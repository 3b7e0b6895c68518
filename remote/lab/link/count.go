package link

import "slices"

// Conn is what became of one connection.
type Conn struct {
	// Opened is what the clock showed when it was dialled, Shaken when it was established; 0 if it never was.
	Opened, Shaken int
	// Rounds is the longest chain of round trips on this connection alone.
	Rounds int
	// Up and Down are the bytes that the host was sent and has sent.
	Up, Down int64
	Closed   bool
}

// Conns are the connections so far, in the order in which they were dialled.
func (r *Relay) Conns() []Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []Conn
	for _, c := range r.conns {
		c.mu.Lock()
		list = append(list, Conn{
			Opened: c.opened, Shaken: c.shaken, Rounds: c.own.now, Up: c.passed[up], Down: c.passed[down], Closed: c.closed,
		})
		c.mu.Unlock()
	}
	return list
}

// Bytes are those of all connections so far, in both directions.
func (r *Relay) Bytes() (n int64) {
	for _, c := range r.Conns() {
		n += c.Up + c.Down
	}
	return n
}

// Shaking is how many of the clock's round trips passed while any of the connections was being established. Beside them
// something else may have been asked: it cost nothing.
func Shaking(conns []Conn) (rounds int) {
	list := slices.Clone(conns)
	slices.SortFunc(list, func(a, b Conn) int { return a.Opened - b.Opened })
	until := 0
	for _, c := range list {
		if c.Shaken > until {
			rounds += c.Shaken - max(c.Opened, until)
			until = c.Shaken
		}
	}
	return rounds
}
