package remote

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"time"
)

// resolveTimeout bounds `ssh -G`: a `Match exec` in the configuration runs a
// command of the operator's.
const resolveTimeout = 20 * time.Second

// resolve says what the configuration has for a destination. It is asked once per
// run, so that the commands of a `Match exec` run once too, and every connection of
// the run is made in the same way; callers at the same time share one answer. What
// failed is asked again.
func (d *Dialer) resolve(ctx context.Context, to destination) (*settings, error) {
	// Errors call a host what it was called: one with two names is asked for twice.
	key := to.name + "\x00" + to.key()
	asked := d.resolving.DoChan(key, func() (any, error) {
		if s, ok := d.resolved.Load(key); ok {
			return s, nil
		}
		// Whoever asked first may leave first.
		s, err := resolve(context.WithoutCancel(ctx), d.ConfigFile, to)
		if err == nil {
			d.resolved.Store(key, s)
		}
		return s, err
	})
	select {
	case answer := <-asked:
		if answer.Err != nil {
			return nil, answer.Err
		}
		return answer.Val.(*settings), nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// resolve asks OpenSSH or, where there is none, reads the files itself.
func resolve(ctx context.Context, configFile string, to destination) (*settings, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "ssh", resolveArgs(configFile, to)...)
	cmd.Stderr = &stderr
	// A command of `Match exec` may leave a child that keeps our pipe open.
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return readSettings(configFile, to)
	case ctx.Err() != nil:
		return nil, &ConfigError{Host: to.name, Reason: "ssh -G took longer than " + resolveTimeout.String()}
	case err != nil:
		return nil, &ConfigError{Host: to.name, Reason: "ssh -G: " + oneLine(stderr.String())}
	}
	return parseSettings(to, string(out))
}

// resolveArgs are the arguments for ssh. With -T it does not complain of a terminal
// that is missing. ControlPath has it print what %C stands for, a hash that its
// versions make of different things; rel has no use for the path itself.
func resolveArgs(configFile string, to destination) []string {
	args := []string{"-G", "-T", "-o", "ControlPath=%C"}
	if configFile != "" {
		args = append(args, "-F", configFile)
	}
	return append(args, to.args()...)
}
