package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// pause is the time between two looks at something that is awaited.
const pause = 30 * time.Millisecond

// await looks until look is content, at most for within. Its error says what was awaited and what the last look said.
func await(ctx context.Context, within time.Duration, what string, look func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	began := time.Now()
	for {
		err := look(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited %s for %s: %w", time.Since(began).Round(100*time.Millisecond), what, err)
		case <-tick.C:
		}
	}
}

// run runs a command to its end and returns what it said on stdout. The command dies with this process. Its error
// repeats the end of what it said on stderr.
func run(ctx context.Context, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(plainEnv(), env...)
	cmd.Dir = "/"
	cmd.SysProcAttr = dieWithParent()
	cmd.WaitDelay = 2 * time.Second
	var out, talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &talk
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return out.String(), fmt.Errorf("%s: %w%s", strings.Join(append([]string{name}, args...), " "), err, tail(talk.String(), 8))
	}
	return out.String(), nil
}

// plainEnv is the environment of every command: nothing of the caller's settings for git, ssh, nix or Go.
func plainEnv() []string {
	return []string{
		"PATH=" + searchPath(),
		"HOME=" + os.Getenv("HOME"),
		"LANG=C.UTF-8",
		"GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=rel lab", "GIT_AUTHOR_EMAIL=lab@choir.chat",
		"GIT_COMMITTER_NAME=rel lab", "GIT_COMMITTER_EMAIL=lab@choir.chat",
	}
}

// searchPath is the caller's PATH and, behind it, where Debian keeps what only root runs.
func searchPath() string {
	return os.Getenv("PATH") + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
}

// tail is the last n lines of s, on lines of their own, for the end of an error.
func tail(s string, n int) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return ""
	}
	lines := strings.Split(s, "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return "\n    " + strings.Join(lines, "\n    ")
}

// tailOf is the tail of a log file.
func tailOf(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return tail(string(b), 15)
}
