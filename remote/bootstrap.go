package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"
)

// bootstrap is the one command that is ever sent: the same for every script,
// so that nothing in a script or its data is read by the login shell, be it
// fish or csh. It first says that it is ready, and is sent nothing before it does: a
// profile that reads its input, or sudo, would take it. Then it repeats the nonce, on
// both its outputs, which ends whatever a chatty profile printed there, and takes from its
// input the environment, one NAME=value a line up
// to an empty one, and the script's size and text. What is left of the input is
// the script's own: read takes it byte by byte, and coreutils' head no more than
// it is asked for. A script that arrives in part, since the connection was cut, is
// not run at all: the shell would run its lines up to there. (The full stop keeps the
// newlines at its end, which the shell would take off; sizes are in bytes in the C
// locale.)
//
// The folders before PATH are where NixOS and Nix put what a login that runs
// no profile does not find.
const bootstrap = `/bin/sh -c '` +
	`PATH=/run/wrappers/bin:/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin:$HOME/.nix-profile/bin:` +
	`$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; LC_ALL=C; export PATH LC_ALL; ` +
	`unset ENV BASH_ENV CDPATH; echo ` + readyWord + `; ` +
	`IFS= read -r nonce || exit 1; printf "%s\n" "$nonce"; printf "%s\n" "$nonce" >&2; ` +
	`while IFS= read -r pair && [ -n "$pair" ]; do export "$pair"; done; ` +
	`IFS= read -r size; code=$(head -c "$size"; echo .); ` +
	`[ "${#code}" -eq $((size + 1)) ] || { echo "the script broke off" >&2; exit 1; }; eval "${code%.}"'`

// readyWord says that the bootstrap waits for its input. A profile that prints it too
// only has it sent earlier.
const readyWord = "rel-ready"

const (
	// greetingCap is the most a profile may print before the script begins.
	greetingCap = 64 << 10
	// greetingTimeout is how long a login shell, its profile and sudo may take to
	// get to the script: as long as everything else that runs nothing of ours, and
	// what is not ours may look a name up in vain.
	greetingTimeout = time.Minute
)

// talk is what passes between us and a login shell, up to the script's first word and
// from there on.
type talk struct {
	host   *Host
	script *Script
	nonce  string
	// end ends the session for a reason of ours.
	end context.CancelCauseFunc
	// late ends it when the script has not begun by then.
	late *time.Timer

	answers    *gate
	complaints *gate
	// printed and greeting are what came before the script's first word, on standard
	// output and on standard error; said is what came on the latter from then on.
	printed        greeting
	greeting, said *lineWriter
	// ready and prompts are told that the shell wants its input, and sudo a password.
	ready, prompts chan struct{}
	// sent says that something of the script was sent, answered that a password was.
	sent, answered atomic.Bool
}

func (h *Host) newTalk(s *Script, nonce string, to io.Writer, end context.CancelCauseFunc) *talk {
	t := &talk{host: h, script: s, nonce: nonce, end: end,
		greeting: &lineWriter{}, said: &lineWriter{emit: s.Line},
		ready: make(chan struct{}, 1), prompts: make(chan struct{}, 8)}
	said := io.Writer(t.said)
	if s.Raw != nil {
		said = io.MultiWriter(s.Raw, t.said)
	}
	if s.Stdout != nil {
		to = s.Stdout
	}
	t.answers = &gate{word: nonce + "\n", hint: readyWord + "\n", before: &t.printed, to: to, fail: end,
		hinted: func() { t.printed.Reset(); tell(t.ready) }, opened: func() { t.late.Stop() }}
	t.complaints = &gate{word: nonce + "\n", before: t.greeting, to: said, fail: end, opened: func() {}}
	if t.becoming() && h.Become.ask != nil {
		t.complaints.hint = prompt
		t.complaints.hinted = func() { *t.greeting = lineWriter{}; tell(t.prompts) }
	}
	t.late = time.AfterFunc(h.patience, func() {
		end(shellStop(fmt.Sprintf("did not get to the script within %s", h.patience)))
	})
	return t
}

// feed sends the script once the shell waits for it, and a password before that if
// sudo asks for one.
func (t *talk) feed(ctx context.Context, stdin io.WriteCloser, header string) {
	for waits := true; waits; {
		select {
		case <-t.ready:
			waits = false
		case <-t.prompts:
			if err := t.login(ctx, stdin); err != nil {
				t.end(err)
				return
			}
		case <-ctx.Done():
			return
		}
	}
	t.sent.Store(true)
	input := io.Reader(strings.NewReader(header))
	if t.script.Stdin != nil {
		input = io.MultiReader(input, t.script.Stdin)
	}
	if _, err := io.Copy(stdin, input); err != nil && !errors.Is(err, io.EOF) {
		// Cut input must not look like its end: no EOF is sent.
		t.end(fmt.Errorf("its input broke off: %w", err))
		return
	}
	stdin.Close()
}

// tell leaves word in a channel that has room for all that anybody cares for.
func tell(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// login answers sudo. When it asks a second time, it did not take the password: the end
// of its input has it give up, and say so.
func (t *talk) login(ctx context.Context, stdin io.WriteCloser) error {
	if t.answered.Load() {
		stdin.Close()
		return nil
	}
	user := t.host.client.User()
	t.late.Stop() // the question has a deadline of its own
	password, err := t.host.Become.answer(ctx, user)
	if err != nil {
		return &askError{err}
	}
	t.late.Reset(t.host.patience)
	t.answered.Store(true)
	_, _ = io.WriteString(stdin, password+"\n") // of a connection that has ended, Wait tells
	return nil
}

// gate tells what comes after a word from what came before it.
type gate struct {
	word string
	// hint is another word to look for before that, and hinted is told of it; what
	// came before it is forgotten.
	hint   string
	hinted func()
	// before takes what comes before the word, and to what comes after.
	before, to io.Writer
	opened     func()
	open       bool
	seen       []byte
	// fail is told of a write that failed: output that nobody takes would block the
	// script, and its session.
	fail func(error)
}

func (g *gate) Write(b []byte) (int, error) {
	if err := g.write(b); err != nil {
		g.fail(err)
		return 0, err
	}
	return len(b), nil
}

func (g *gate) write(b []byte) error {
	if g.open {
		_, err := g.to.Write(b)
		return err
	}
	g.seen = append(g.seen, b...)
	before, after, open := bytes.Cut(g.seen, []byte(g.word))
	if !open {
		return g.wait()
	}
	if _, err := g.before.Write(before); err != nil {
		return err
	}
	g.open, g.seen = true, nil
	g.opened()
	_, err := g.to.Write(after)
	return err
}

// wait looks for the hint, and keeps as much as may be the beginning of a word.
func (g *gate) wait() error {
	for g.hint != "" {
		_, after, found := bytes.Cut(g.seen, []byte(g.hint))
		if !found {
			break
		}
		g.seen = after
		g.hinted()
	}
	n := len(g.seen) - max(len(g.word), len(g.hint))
	if n <= 0 {
		return nil
	}
	_, err := g.before.Write(g.seen[:n])
	g.seen = append([]byte(nil), g.seen[n:]...)
	return err
}

// end passes on what was kept because it might have been the beginning of a word.
func (g *gate) end() {
	if !g.open {
		_, _ = g.before.Write(g.seen)
		g.seen = nil
	}
}

// greeting is what a profile printed on standard output, up to its cap.
type greeting struct{ bytes.Buffer }

// Write fails where the cap is passed.
func (g *greeting) Write(b []byte) (int, error) {
	if g.Len()+len(b) > greetingCap {
		return 0, shellStop(fmt.Sprintf("printed more than %d KiB, and did not get to the script", greetingCap>>10))
	}
	return g.Buffer.Write(b)
}
