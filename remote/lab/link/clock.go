package link

import "sync"

// Clock counts round trips that followed one another.
type Clock struct {
	mu  sync.Mutex
	now int
}

// Now is the length of the longest chain so far.
func (c *Clock) Now() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// hear sets the clock to what an answer carries, and returns it.
func (c *Clock) hear(depth int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = max(c.now, depth)
	return c.now
}
