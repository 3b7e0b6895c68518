package main

import (
	"errors"
	"net"
	"sync"
)

// The directions of a wire, as the operator sees them.
const (
	up = iota
	down
)

// cutting says where a wire is cut, once.
type cutting struct {
	// at is the byte, from 1, of that direction of the whole promotion after which
	// nothing more passes.
	at        int64
	direction int
	// command is the command, from 1, at which it is cut: a script, or the opening of a
	// shell; as it is asked for or, if ran is set, once it has run and before it has
	// answered.
	command int
	ran     bool
	// all cuts every connection that is open, as a laptop's network goes; otherwise
	// the one that the byte or the command is on.
	all bool
}

// wire is all connections of an operator to the hosts of a world. It counts what
// passes, and cuts.
type wire struct {
	cutting

	mu       sync.Mutex
	passed   [2]int64
	commands int
	done     bool
	// name is what the command after which it was cut is called, and scripts
	// those that were run.
	name    string
	scripts []string
	open    map[*wireConn]bool
}

func newWire(c cutting) *wire { return &wire{cutting: c, open: map[*wireConn]bool{}} }

// wireConn is the host's end of a connection.
type wireConn struct {
	net.Conn
	wire *wire
}

var errCut = errors.New("cut")

func (w *wire) connect(conn net.Conn) *wireConn {
	c := &wireConn{Conn: conn, wire: w}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open[c] = true
	return c
}

// pass counts n bytes, and says how many of them still pass.
func (w *wire) pass(direction, n int) (passing int, cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.passed[direction]
	w.passed[direction] += int64(n)
	if w.done || w.at == 0 || direction != w.direction || w.passed[direction] < w.at {
		return n, false
	}
	w.done = true
	return int(w.at - before), true
}

// cut closes the connection; all of them, if that is wanted or none is named.
func (w *wire) cut(c *wireConn) {
	w.mu.Lock()
	var list []*wireConn
	for other := range w.open {
		if other == c || c == nil || w.all {
			list = append(list, other)
		}
	}
	w.mu.Unlock()
	for _, conn := range list {
		conn.Close()
	}
}

func (c *wireConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	passing, cut := c.wire.pass(up, n)
	if cut {
		// What has arrived has; the next read finds the end.
		c.wire.cut(c)
	}
	return passing, err
}

func (c *wireConn) Write(b []byte) (int, error) {
	passing, cut := c.wire.pass(down, len(b))
	n, err := c.Conn.Write(b[:passing])
	if cut {
		c.wire.cut(c)
		return n, errCut
	}
	return n, err
}

func (c *wireConn) Close() error {
	c.wire.mu.Lock()
	delete(c.wire.open, c)
	c.wire.mu.Unlock()
	return c.Conn.Close()
}

// command counts a command that is asked for. It says whether the wire is to be cut
// now, and whether once the command has run.
func (w *wire) command() (now, ran bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.commands++
	if w.done || w.cutting.command == 0 || w.commands != w.cutting.command {
		return false, false
	}
	w.done = true
	return !w.ran, w.ran
}

// note keeps the name of a script that is run.
func (w *wire) note(name string, cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.scripts = append(w.scripts, name)
	if cut {
		w.name = name
	}
}

// counts is how often each script was run.
func (w *wire) counts() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	counts := map[string]int{}
	for _, name := range w.scripts {
		counts[name]++
	}
	return counts
}
