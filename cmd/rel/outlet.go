package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// outlet takes what a printer says off its hands: a terminal that stands still (Ctrl-S), or
// a pager that is not scrolled, must not hold up a promotion. What nobody takes is dropped,
// and so is all that comes once nobody is there any more.
type outlet struct {
	to io.Writer
	// gone is told that the terminal is.
	gone func()

	mu      sync.Mutex
	queue   []byte
	dropped int
	failed  bool
	// idle is closed when all is written; nil, if it is.
	idle chan struct{}
	// late says that this was waited for in vain.
	late bool
}

const (
	// outletCap is how many bytes wait to be written, beside as many that are being written.
	outletCap = 1 << 20
	// outletPatience is how long is waited for what is still to be written.
	outletPatience = 2 * time.Second
)

func newOutlet(to io.Writer) *outlet { return &outlet{to: to, gone: hangUp} }

// hangUp is what a terminal that is closed does to its processes, for those of another
// session, which it does not reach.
func hangUp() {
	if !signal.Ignored(syscall.SIGHUP) {
		_ = syscall.Kill(os.Getpid(), syscall.SIGHUP)
	}
}

func (o *outlet) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.failed:
		return len(b), nil
	case len(o.queue)+len(b) > outletCap:
		o.dropped++
		return len(b), nil
	case o.dropped > 0:
		o.queue = fmt.Appendf(o.queue, "… %d messages were not taken and are not shown\n", o.dropped)
		o.dropped = 0
	}
	o.queue = append(o.queue, b...)
	if o.idle == nil {
		o.idle = make(chan struct{})
		go o.drain()
	}
	return len(b), nil
}

// drain writes until all is written.
func (o *outlet) drain() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.queue) > 0 && !o.failed {
		text := o.queue
		o.queue = nil
		o.mu.Unlock()
		_, err := o.to.Write(text)
		if errors.Is(err, syscall.EIO) {
			o.gone()
		}
		o.mu.Lock()
		o.failed = err != nil
	}
	close(o.idle)
	o.idle, o.late = nil, false
}

// flush waits until all is written, as long as that is worth while.
func (o *outlet) flush() {
	if o == nil {
		return
	}
	o.mu.Lock()
	idle, late := o.idle, o.late
	o.mu.Unlock()
	if idle == nil || late {
		return
	}
	select {
	case <-idle:
	case <-time.After(outletPatience):
		o.mu.Lock()
		o.late = o.idle == idle
		o.mu.Unlock()
	}
}
