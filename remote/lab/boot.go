package lab

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// bootWithin is how long a host may take until it answers; it takes about two seconds on a machine at rest.
const bootWithin = time.Minute

//go:embed fixture/enter.sh
var enterScript string

// errOff says that a host's container does not run.
var errOff = errors.New("powered off")

// boot starts the host's container. It outlives this process.
func (l *Lab) boot(ctx context.Context, h member) error {
	groups, err := cgroupRoots()
	if err != nil {
		return err
	}
	argv := []string{"-c", enterScript, "enter"}
	for _, g := range groups {
		argv = append(argv, filepath.Join(g, h.Machine))
	}
	argv = append(argv, "--", "systemd-nspawn", "--register=no", "--keep-unit", "--settings=no", "--quiet",
		"--console=pipe", "--link-journal=no", "--resolv-conf=off", "--timezone=off",
		"--machine="+h.Machine, "--hostname="+h.Name, "--network-bridge="+l.state.Bridge)
	if h.Build {
		root, err := goRoot(ctx)
		if err != nil {
			return err
		}
		argv = append(argv, "--bind-ro="+root+":/usr/local/go")
	}
	argv = append(argv, "-b", "-D", l.rootDir(h), "systemd.unit=rel-lab.target")
	return start(ctx, l.ConsolePath(h.Name), "/bin/sh", argv...)
}

// start starts a command that goes on after this process, in a session of its own so that no Ctrl-C reaches it, with
// what it says appended to log.
func start(ctx context.Context, log, name string, args ...string) error {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	cmd := exec.CommandContext(context.WithoutCancel(ctx), name, args...)
	cmd.Env, cmd.Dir = plainEnv(), "/"
	cmd.Stdout, cmd.Stderr = f, f
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // a test that lives longer than the host must not keep its zombie
	return nil
}

// awaitHost waits until the host answers, and says early if it died instead.
func (l *Lab) awaitHost(ctx context.Context, h member) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	began := time.Now()
	err := await(ctx, bootWithin, "it to answer", func(ctx context.Context) error {
		err := l.hostAnswers(ctx, h)
		if !errors.Is(err, errOff) || time.Since(began) < time.Second {
			return err
		}
		// The shell that becomes systemd-nspawn is there from the start: when nothing is, it died.
		if ps, perr := l.processes(ofHost(h)); perr == nil && len(ps) == 0 {
			err = errors.New("its container ended")
			cancel(err)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%w%s%s", err, tailOf(l.ConsolePath(h.Name)), l.within(h))
	}
	return nil
}

// within is what a host that does not answer looks like from inside.
func (l *Lab) within(h member) string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := l.Exec(ctx, h.Name, "ip -brief addr; ip neigh; systemctl is-system-running; systemctl --no-legend --failed; systemctl --no-legend list-jobs")
	if err != nil {
		out += "\n" + err.Error()
	}
	return tail(out, 20)
}

// hostAnswers is nil if the host runs, its sshd greets and, on a target, its Caddy serves both sites.
func (l *Lab) hostAnswers(ctx context.Context, h member) error {
	if _, err := l.initOf(h); err != nil {
		return err
	}
	if err := sshGreets(ctx, h.Addr); err != nil {
		return err
	}
	if h.Build {
		return nil
	}
	return l.caddyServes(ctx, h)
}

func sshGreets(ctx context.Context, addr string) error {
	d := net.Dialer{Timeout: time.Second}
	c, err := d.DialContext(ctx, "tcp", net.JoinHostPort(addr, "22"))
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return fmt.Errorf("greeting of sshd on %s: %w", addr, err)
	}
	if !strings.HasPrefix(line, "SSH-2.0-") {
		return fmt.Errorf("sshd on %s greets with %q", addr, line)
	}
	return nil
}

// answers is nil if everything that Up makes is there and answers.
func (l *Lab) answers(ctx context.Context) error {
	if !linkExists(l.state.Bridge) {
		return fmt.Errorf("the bridge %s is gone", l.state.Bridge)
	}
	if err := l.originAnswers(ctx); err != nil {
		return fmt.Errorf("origin: %w", err)
	}
	for _, h := range l.state.Hosts {
		if err := l.hostAnswers(ctx, h); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
	return nil
}
