package remote

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Script is a program for the host's /bin/sh.
type Script struct {
	// Name is what errors call it.
	Name string
	// Code is POSIX sh; Env is its data, in values without newlines.
	Code string
	Env  map[string]string
	// Parts are what Code begins with, where other scripts begin so too: a shell that runs
	// several is sent each of them once.
	Parts []string
	// Root says that the script has to run as root, whoever logs in.
	Root bool
	// Stdin is the script's further input, if any. It is read to its end before
	// anything is sent, unless the script has a session of its own: it has one with a
	// Stdout, with a Loan, and if it Lasts.
	Stdin io.Reader
	// Stdout takes raw output; without it the output is returned by Run.
	Stdout io.Writer
	// Bytes says that the output is no text: it is returned as it came, and is not to be
	// shown.
	Bytes bool
	// Line takes each line of the script's standard error, made safe to show; Raw
	// takes it as it comes.
	Line func(string)
	Raw  io.Writer
	// Decode returns the text, with the ends of its lines, that stands for a line of the
	// standard error: that is what counts as printed. Nil leaves all as it is.
	Decode func(line string) string
	// Loan is a login elsewhere that the script may use, if any.
	Loan *Loan
	// Lasts says that the script ends with its input, whenever that is. Where the host
	// has few sessions, it fails with [ErrFewSessions], so that others have a turn.
	Lasts bool
}

// Alone reports whether the script has a session of its own.
func (s *Script) Alone() bool { return s.Stdout != nil || s.Loan != nil || s.Lasts }

const (
	// answerCap is the most a script may answer: of a large release some 20,000 paths, with
	// their hashes and signatures.
	answerCap = 12 << 20
	// inputCap is the most input that is sent to a shell that is to run others after
	// it: what a script has not read when it fails has to arrive all the same.
	inputCap = 2 << 20
	// closeTimeout is how long a session may take to end when its context has.
	// On a slow link it waits behind what was sent before.
	closeTimeout = 30 * time.Second
)

// Run runs a script and returns what it printed. The error is an *[ExitError]
// if the script failed, a *[LostError] if the connection did, a *[ShellError] or a
// *[SudoError] if the script did not begin. When ctx ends
// the script is left to itself: a cut session does not stop what runs on the
// host.
func (h *Host) Run(ctx context.Context, s Script) ([]byte, error) {
	answer := &capped{most: answerCap}
	t, err := h.newTalk(&s, answer)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", h.name, err)
	}
	if s.Loan != nil {
		defer h.lend(s.Loan)()
	}
	err = h.talk(ctx, t, false)
	if errors.Is(err, errNotBegun) {
		t.sent.Store(false)
		// A shell that has ended while it waited, as sshd's ChannelTimeout has it.
		err = h.talk(ctx, t, true)
	}
	if err != nil {
		return nil, err
	}
	if answer.over {
		return nil, fmt.Errorf("%s: %s answered more than %d bytes", h.name, s.Name, answerCap)
	}
	if s.Bytes {
		return answer.bytes(), nil
	}
	return []byte(Clean(string(answer.bytes()))), nil
}

// talk runs a script on a shell; on a new one, if fresh is set.
func (h *Host) talk(ctx context.Context, t *talk, fresh bool) error {
	sh, err := h.shell(ctx, t, fresh)
	if err != nil {
		return err
	}
	if err = h.alive(ctx); err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		h.seats.keep(sh)
		return err
	}
	if !t.standing && sh.waited {
		// In its place, if there is none other; or for two scripts beside each other, where
		// it does not come back.
		most := 1
		if t.script.Lasts && t.script.Root {
			most = standingShells
		}
		h.stand(t.script.Root, most)
	}
	return t.run(ctx, sh)
}

// talk is what passes between us and a shell for one script.
type talk struct {
	host   *Host
	script *Script
	nonce  string
	// standing says that the shell is to run others after it.
	standing bool
	env      string
	// input is the script's, after the header.
	input io.Reader
	whole []byte
	to    io.Writer
	said  *lineWriter
	// decoder stands before said, if the script has one.
	decoder *decoder

	// done is closed once the script has ended on both outputs, with that status.
	done   chan struct{}
	status atomic.Int64
	ending atomic.Int32
	// sent says that something of the script was sent, begun that its first word came.
	sent, begun atomic.Bool
}

func (h *Host) newTalk(s *Script, answer io.Writer) (*talk, error) {
	t := &talk{host: h, script: s, to: answer, said: &lineWriter{emit: s.Line}, done: make(chan struct{}),
		standing: !s.Alone()}
	if s.Stdout != nil {
		t.to = s.Stdout
	}
	if t.input = s.Stdin; t.input == nil {
		t.input = bytes.NewReader(nil)
	}
	if t.standing {
		var err error
		if t.whole, err = io.ReadAll(io.LimitReader(t.input, inputCap+1)); err != nil {
			return nil, fmt.Errorf("%s: its input broke off: %w", s.Name, err)
		}
		if len(t.whole) > inputCap {
			t.standing, t.input = false, io.MultiReader(bytes.NewReader(t.whole), t.input)
		}
	}
	var err error
	t.env, err = s.env()
	t.nonce = newNonce()
	return t, err
}

// newNonce is a word that nothing on the host prints by chance, nor guesses: 65 bits. It passes
// five times with each script, so it is no longer than that takes.
func newNonce() string { return "rel-" + rand.Text()[:13] }

// head makes what the runner reads before the script's own input, which is returned as it
// is sent. has are the parts that the shell has, with their names; it is told of those that
// it gets. A shell that does not unpack gets the code in one.
func (t *talk) head(packs bool, has map[string]string) (header string, input []byte) {
	size, input := "-", t.whole
	if t.script.Loan != nil {
		size = "+"
	}
	if t.standing {
		size = strconv.Itoa(len(t.whole))
		if small := packed(t.whole, packs); small != nil {
			size, input = size+" "+strconv.Itoa(len(small)), small
		}
	}
	var b strings.Builder
	b.WriteString(t.nonce + " " + size + "\n" + t.env + "\n")
	code := t.script.Code
	for _, part := range t.script.Parts {
		rest, begins := strings.CutPrefix(code, part)
		if !packs || !begins {
			break
		}
		code = rest
		name, sent := has[part]
		if !sent {
			name = "part" + strconv.Itoa(len(has))
			has[part] = name
			b.WriteString(name + " " + sized(part, packs))
			continue
		}
		b.WriteString(name + "\n")
	}
	b.WriteString(sized(code, packs))
	return b.String(), input
}

// ends is told that the script has ended on one of the outputs, on one of them with its
// status.
func (t *talk) ends(status string) {
	if n, err := strconv.ParseInt(status, 10, 64); err == nil {
		t.status.Store(n)
	} else if status != "" {
		t.status.Store(255)
	}
	if t.ending.Add(1) == 2 {
		close(t.done)
	}
}

// errNotBegun says that a shell ended before it began the script that it was sent.
var errNotBegun = errors.New("it has not begun")

// run has a shell run the script.
func (t *talk) run(ctx context.Context, sh *shell) error {
	sh.attach(t)
	sh.late.Reset(t.host.patience)
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		t.feed(ctx, sh)
	}()
	var few <-chan struct{}
	if t.script.Lasts {
		few = t.host.seats.few
	}
	err := t.wait(ctx, sh, few)
	select {
	case <-t.done:
		t.flush()
		sh.leave(fed)
		return t.exit(int(t.status.Load()))
	default:
	}
	sh.fail(err)
	if t.standing && t.begun.Load() {
		sh.detach() // what it writes to is no other's
	} else {
		<-sh.ended
	}
	t.flush()
	outcome := t.outcome(sh, err)
	if errors.Is(outcome, errNotBegun) {
		<-fed // what it sends again must not be taken for what it sent
	}
	return outcome
}

// flush takes what was said last, and had no end.
func (t *talk) flush() {
	t.decoder.end()
	t.said.flush()
}

// wait waits for the end of the script, of its session or of ctx. One that has its shell
// to itself ends with the session.
func (t *talk) wait(ctx context.Context, sh *shell, few <-chan struct{}) error {
	select {
	case <-t.done:
		return nil
	case <-sh.ended:
		return sh.why()
	case <-sh.failed:
		return sh.cause
	case <-few:
		return ErrFewSessions
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// leave keeps a shell for the next script, once it was sent all of this one: the host has
// said that it has read it, and so that is soon, unless it lies.
func (sh *shell) leave(fed <-chan struct{}) {
	select {
	case <-fed:
		sh.used = true
		sh.host.seats.keep(sh)
	case <-sh.ended:
	case <-time.After(time.Second):
		sh.fail(errGivenUp)
	}
}

// feed sends the script.
func (t *talk) feed(ctx context.Context, sh *shell) {
	begin, whole := t.head(sh.packs, sh.parts)
	if !sh.sent {
		begin, sh.sent = beginning(sh.packs)+begin, true
	}
	input := t.input
	if t.standing {
		input = bytes.NewReader(whole)
	}
	// In one flight, where it is short.
	first := make([]byte, len(begin)+firstInput)
	n := copy(first, begin)
	if t.standing {
		more, _ := io.ReadFull(input, first[n:])
		n += more
	}
	t.sent.Store(true)
	if wrote, err := t.host.uplink.write(sh, first[:n]); err != nil {
		if wrote == 0 {
			t.sent.Store(false)
		}
		return // the session tells why
	}
	if err := t.host.uplink.copy(sh, input); err != nil && !errors.Is(err, io.EOF) {
		// Cut input must not look like its end: no EOF is sent.
		sh.fail(fmt.Errorf("its input broke off: %w", err))
		return
	}
	if !t.standing {
		sh.stdin.Close()
	}
}

// firstInput is how much of the input goes with the header.
const firstInput = 16 << 10

// env is the script's environment, a line for each.
func (s *Script) env() (string, error) {
	var b strings.Builder
	names := make([]string, 0, len(s.Env))
	for name := range s.Env {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if strings.ContainsAny(s.Env[name], "\n\x00") {
			return "", fmt.Errorf("%s: the value of %s has a newline in it", s.Name, name)
		}
		b.WriteString(name + "=" + s.Env[name] + "\n")
	}
	return b.String(), nil
}

// capped keeps the first bytes that are written to it and swallows the rest:
// a writer that failed would stop the script half-way.
type capped struct {
	// parts are what was written, one by one: a buffer that grows holds all of it twice.
	parts      [][]byte
	size, most int
	over       bool
}

func (c *capped) Write(b []byte) (int, error) {
	if c.over = c.over || c.size+len(b) > c.most; c.over {
		c.parts = nil // nobody gets it
		return len(b), nil
	}
	c.parts, c.size = append(c.parts, bytes.Clone(b)), c.size+len(b)
	return len(b), nil
}

// bytes are all of it.
func (c *capped) bytes() []byte { return bytes.Join(c.parts, nil) }
