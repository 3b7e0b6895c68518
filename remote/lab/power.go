package lab

import (
	"context"
	"fmt"
	"time"
)

// Stop cuts a host's power: everything on it ends at once, its disk stays as it is. Origin stops the git daemon.
func (l *Lab) Stop(ctx context.Context, name string) error {
	unlock, err := lock(ctx, l.Dir, l.log)
	if err != nil {
		return err
	}
	defer unlock()
	if name == Origin {
		return l.kill(ctx, ofOrigin)
	}
	h, err := l.host(name)
	if err != nil {
		return err
	}
	if err := l.kill(ctx, ofHost(h)); err != nil {
		return fmt.Errorf("stop %s: %w", name, err)
	}
	// Its cable goes late by itself, and until then the host cannot be started again. The name is compared as a whole:
	// "-p1" is also how "-p10" begins.
	return removeLinks(ctx, func(name string) bool { return name == "vb-"+h.Machine })
}

// Start boots a stopped host again, on the same disk, or starts the git daemon again for Origin. It returns when the
// host answers; one that runs is left as it is.
func (l *Lab) Start(ctx context.Context, name string) error {
	unlock, err := lock(ctx, l.Dir, l.log)
	if err != nil {
		return err
	}
	defer unlock()
	if name == Origin {
		if l.originAnswers(ctx) == nil {
			return nil
		}
		return l.serveOrigin(ctx)
	}
	h, err := l.host(name)
	if err != nil {
		return err
	}
	ps, err := l.processes(ofHost(h))
	if err != nil {
		return err
	}
	if len(ps) == 0 {
		if err := l.boot(ctx, h); err != nil {
			return fmt.Errorf("start %s: %w", name, err)
		}
	}
	began := time.Now()
	if err := l.awaitHost(ctx, h); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	l.say("%s: up after %.1fs", name, time.Since(began).Seconds())
	return nil
}
