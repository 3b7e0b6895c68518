package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// shell is a session with the bootstrap at its other end. It runs one script that has
// the session to itself, or one after the other: on an open connection, the first takes
// three round trips, and each after it one.
type shell struct {
	host *Host
	// becomes says that it is run by sudo or its like.
	becomes bool

	session    *ssh.Session
	stdin      io.WriteCloser
	answers    *outlet
	complaints *outlet
	// printed and greeting are what came before the first script's first word, on
	// standard output and on standard error.
	printed  greeting
	greeting *lineWriter
	// late fails the shell when it does not get to its script by then.
	late *time.Timer
	// ready and prompts are told that the shell wants its input, with the number of its
	// user, and that sudo wants a password; answered says that it was given one.
	ready    chan string
	prompts  chan struct{}
	answered atomic.Bool
	// opened is closed when it can be used, or not: fault says why.
	opened chan struct{}
	fault  error
	// ended is closed when the session has ended, as end says; failed when it is of no
	// use any more for a reason of ours, which is cause.
	ended, failed chan struct{}
	end, cause    error
	failing       sync.Once
	// parts are those that it has, by their texts.
	parts map[string]string
	// packs says that it takes what is packed with gzip; sent that it was sent the runner, used that it has run a script, and waited
	// that it waited for one.
	packs, sent, used, waited bool
	// stained says that it spoke when there was no script.
	stained atomic.Bool
}

// errGivenUp is the fault of a shell that nobody waited for: whoever finds it opens
// another one.
var errGivenUp = errors.New("it was given up")

func (h *Host) newShell(becomes bool) *shell {
	sh := &shell{host: h, becomes: becomes, parts: map[string]string{}, greeting: &lineWriter{}, ready: make(chan string, 1), prompts: make(chan struct{}, 8),
		opened: make(chan struct{}), ended: make(chan struct{}), failed: make(chan struct{})}
	sh.answers = &outlet{fail: sh.fail, to: &sh.printed,
		mark: mark{word: readyWord, numbered: true, found: func(uid string) {
			sh.printed.Reset()
			select {
			case sh.ready <- uid:
			default:
			}
		}}}
	sh.complaints = &outlet{fail: sh.fail, to: sh.greeting}
	if becomes && h.Become.ask != nil {
		sh.complaints.mark = mark{word: prompt, found: func(string) {
			*sh.greeting = lineWriter{}
			tell(sh.prompts)
		}}
	}
	return sh
}

// fail ends a shell for a reason of ours.
func (sh *shell) fail(err error) {
	sh.failing.Do(func() {
		sh.cause = err
		close(sh.failed)
		go sh.close()
	})
}

// close ends the session, and waits for its goroutines, which write to what others own.
func (sh *shell) close() {
	sh.session.Close()
	select {
	case <-sh.ended:
	case <-time.After(closeTimeout):
		sh.host.conn.Close()
		<-sh.ended
	}
}

// retire has a shell that waits end by itself, since its input does. Until then sshd
// counts its session.
func (sh *shell) retire() {
	sh.stdin.Close()
	select {
	case <-sh.ended:
	case <-time.After(closeTimeout):
		sh.close()
	}
}

// open opens a shell on its seat, and waits until it says that it is ready. Its error
// is one of nothing sent. A shell that fails gives its seat back.
func (sh *shell) open(ctx context.Context, seat *seat, loan *Loan) (err error) {
	defer func() {
		sh.fault = err
		close(sh.opened)
	}()
	h := sh.host
	command, err := h.command(sh.becomes)
	if err == nil {
		err = sh.start(ctx, seat, command, loan)
	}
	if err != nil {
		seat.channel.Close()
		h.seats.leave()
		return err
	}
	go sh.watch()
	if err := sh.greet(ctx); err != nil {
		sh.fail(err)
		<-sh.ended
		return sh.unready(err)
	}
	return nil
}

// start has the host start the bootstrap.
func (sh *shell) start(ctx context.Context, seat *seat, command string, loan *Loan) (err error) {
	h := sh.host
	lost := func(err error) error { return &LostError{Host: h.name, Err: err, Unsent: true} }
	if sh.session, err = seat.client().NewSession(); err != nil {
		return lost(err)
	}
	sh.session.Stdout, sh.session.Stderr = sh.answers, sh.complaints
	// Not session.Stdin: Wait would wait for it to end, and a script that
	// fails at once leaves the rest of its input unread.
	if sh.stdin, err = sh.session.StdinPipe(); err != nil {
		return lost(err)
	}
	if loan != nil {
		if err := h.forwardOnce(ctx, sh.session); err != nil {
			return err
		}
	}
	err = h.bounded(ctx, "starting a shell", func() error { return sh.session.Start(command) })
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", h.name, context.Cause(ctx))
	case h.Closed(), errors.Is(err, io.EOF):
		return lost(err)
	}
	return sh.shellError("is not to be had: the host refuses to run commands")
}

// command is what the login shell reads.
func (h *Host) command(becomes bool) (string, error) {
	if !becomes {
		return "exec " + bootstrap, nil
	}
	if err := h.Become.refused(); err != nil {
		return "", h.sudoError(err)
	}
	return "exec " + h.Become.command() + " " + bootstrap, nil
}

// watch waits for the session to end.
func (sh *shell) watch() {
	sh.end = sh.session.Wait()
	for _, outlet := range []*outlet{sh.answers, sh.complaints} {
		outlet.end()
	}
	sh.greeting.flush()
	close(sh.ended)
	sh.session.Close()
	sh.host.seats.gone(sh)
}

// greet waits until the shell wants its input, and gives sudo the password before that
// if it asks for one.
func (sh *shell) greet(ctx context.Context) error {
	sh.late = time.AfterFunc(sh.host.patience, sh.tooLate)
	for {
		select {
		case uid := <-sh.ready:
			sh.late.Stop()
			n, _ := strconv.ParseUint(uid, 10, 64)
			sh.packs = n&(1<<32) != 0
			uid = strconv.FormatUint(n&math.MaxUint32, 10)
			if n&(1<<33) != 0 {
				return &HeadError{Host: sh.host.name}
			}
			if sh.becomes && uid != "0" {
				return &SudoError{Host: sh.host.name, User: sh.host.client.User(), By: sh.host.Become.String(), Said: "it makes them user " + uid}
			}
			return nil
		case <-sh.prompts:
			if err := sh.login(ctx); err != nil {
				return err
			}
		case <-sh.ended:
			return sh.why()
		case <-sh.failed:
			return sh.cause
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// why is why a session has ended: for a reason of ours, if there is one.
func (sh *shell) why() error {
	select {
	case <-sh.failed:
		return sh.cause
	default:
		return sh.end
	}
}

func (sh *shell) tooLate() {
	sh.fail(shellStop(fmt.Sprintf("did not get to the script within %s", sh.host.patience)))
}

// login answers sudo. When it asks a second time, it did not take the password: the end
// of its input has it give up, and say so.
func (sh *shell) login(ctx context.Context) error {
	if sh.answered.Load() {
		sh.stdin.Close()
		return nil
	}
	sh.late.Stop() // the question has a deadline of its own
	password, err := sh.host.Become.answer(ctx, sh.host.client.User())
	if err != nil {
		return &askError{err}
	}
	sh.late.Reset(sh.host.patience)
	sh.answered.Store(true)
	_, _ = io.WriteString(sh.stdin, password+"\n") // of a connection that has ended, Wait tells
	return nil
}

// tell leaves word in a channel that has room for all that anybody cares for.
func tell(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// wait waits until a shell that somebody else opens can be used.
func (sh *shell) wait(ctx context.Context) error {
	select {
	case <-sh.opened:
		return sh.fault
	case <-ctx.Done():
		sh.host.seats.keep(sh)
		return context.Cause(ctx)
	}
}

// isOpen reports whether there is a session with a shell that was ready.
func (sh *shell) isOpen() bool {
	select {
	case <-sh.opened:
		return sh.fault == nil
	default:
		return false
	}
}

// usable reports whether a shell can run another script.
func (sh *shell) usable() bool {
	select {
	case <-sh.ended:
	case <-sh.failed:
	default:
		return !sh.stained.Load()
	}
	return false
}

// spares is how many bytes of a script, and of what goes ahead of it, need not be sent to
// a shell that waits, since it has them.
func (sh *shell) spares(s *Script) (n int) {
	if !sh.isOpen() {
		return 0 // and not all of it may be looked at yet
	}
	if sh.sent {
		n += len(runner)
	}
	for _, part := range s.Parts {
		if _, has := sh.parts[part]; has {
			n += len(part)
		}
	}
	return n
}

// stain takes what a shell says when there is no script. It would be in the way of the
// next one: the shell is given up, at once if there is no end to it.
type stain struct {
	shell *shell
	bytes int
}

func (s *stain) Write(b []byte) (int, error) {
	s.shell.stained.Store(true)
	if s.bytes += len(b); s.bytes > greetingCap {
		return 0, errGivenUp
	}
	return len(b), nil
}

// quiet has a shell whose script has ended listen for what should not come.
func (sh *shell) quiet(o *outlet) { o.mark, o.to = mark{}, &stain{shell: sh} }

// attach has the outputs of a shell be those of a script, from its first word on.
func (sh *shell) attach(t *talk) {
	said := io.Writer(t.said)
	if t.script.Raw != nil {
		said = io.MultiWriter(t.script.Raw, t.said)
	}
	if t.script.Decode != nil {
		t.decoder = &decoder{decode: t.script.Decode, to: said}
		said = t.decoder
	}
	attach := func(o *outlet, to, before io.Writer, begun func(), done func(status string)) {
		var end mark
		if t.standing {
			end = mark{word: t.nonce + " ", numbered: true, found: func(status string) {
				sh.quiet(o)
				done(status)
			}}
		}
		o.set(mark{word: t.nonce + "\n", found: func(string) {
			o.mark, o.to = end, to
			begun()
		}}, before)
	}
	printed, greeting := io.Writer(&sh.printed), io.Writer(sh.greeting)
	if sh.used {
		printed, greeting = &stain{shell: sh}, &stain{shell: sh}
	}
	attach(sh.answers, t.to, printed, func() { sh.late.Stop(); t.begun.Store(true) }, t.ends)
	attach(sh.complaints, said, greeting, func() {}, func(string) { t.ends("") })
}

// detach has what is still said go nowhere.
func (sh *shell) detach() {
	sh.answers.set(mark{}, io.Discard)
	sh.complaints.set(mark{}, io.Discard)
}
