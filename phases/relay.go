package phases

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

//go:embed weave.sh
var weavePart string

//go:embed send.sh
var sendScript string

//go:embed unpack.sh
var unpackScript string

// spoilt is how unpack.sh ends where a patch does not make what it should.
const spoilt = 75

// sending is the script of the build host's that has the stream on its output.
func (c *courier) sending(name, code string, env map[string]string) Script {
	all := map[string]string{"MOST": strconv.Itoa(patchMost)}
	for key, value := range env {
		all[key] = value
	}
	return Script{Name: name, Code: infosPart + weavePart + code, Env: all, Line: c.p.lineOf(c.p.Build)}
}

// relay pipes the stream from the build host to the target, through the two connections
// that are open anyway: neither host needs to reach the other, and the operator needs no
// Nix.
func (c *courier) relay(ctx context.Context) (*receipt, int64, error) {
	if c.data != nil {
		got, err := c.unpack(ctx, bytes.NewReader(c.data))
		return got, int64(len(c.data)), err
	}
	var (
		group, cut = errgroup.WithContext(ctx)
		out, in    = io.Pipe()
		meter      = counter{pulse: c.p.Pulse, passed: c.under}
		got        *receipt
	)
	group.Go(func() error {
		err := guard(c.p.Build.Name(), func() error {
			s := c.sending("send.sh", sendScript, nil)
			s.Stdin, s.Stdout = c.rows(), io.MultiWriter(in, &meter)
			_, err := c.p.Build.Run(cut, s)
			return err
		})
		// With an error the target sees a broken stream, not a finished one.
		in.CloseWithError(err)
		return err
	})
	group.Go(func() error {
		err := guard(c.target.Name(), func() (err error) {
			got, err = c.unpack(cut, out)
			return err
		})
		out.CloseWithError(err)
		return err
	})
	err := group.Wait()
	return got, meter.Load(), err
}

// unpack has the target take the stream.
func (c *courier) unpack(ctx context.Context, stream io.Reader) (*receipt, error) {
	show, tail := c.p.lineOf(c.target), ""
	s := c.p.onTarget(c.target, "unpack.sh", unpackScript, map[string]string{"MOST": strconv.Itoa(patchMost), "ALL": strconv.Itoa(patchesMost)})
	s.Stdin = stream
	var taken *HoldLostError
	s.Line = func(line string) {
		if who := c.fenced(line); who != nil {
			taken = who
		}
		tail = line
		show(line)
	}
	loaded := make(chan struct{})
	close(loaded)
	return c.reading(ctx, &s, loaded, func() error {
		_, err := c.target.Run(ctx, s)
		if taken != nil {
			return taken
		}
		var exit interface{ ExitStatus() int }
		if errors.As(err, &exit) && exit.ExitStatus() == spoilt {
			return &patchError{tail}
		}
		return err
	})
}

// fenced is what unpack.sh says where somebody else has taken the target over; nil for any
// other line.
func (c *courier) fenced(line string) *HoldLostError {
	who, fenced := strings.CutPrefix(line, "fenced=")
	if !fenced {
		return nil
	}
	return &HoldLostError{Host: c.target.Name(), Holder: parseHolder(printable(who))}
}

// reading runs what gives the script its output, and reads the receipt from that, once
// the courier has its cargo.
func (c *courier) reading(ctx context.Context, s *Script, loaded <-chan struct{}, run func() error) (*receipt, error) {
	answers, to := io.Pipe()
	s.Stdout = to
	type outcome struct {
		*receipt
		err error
	}
	read, ended := make(chan outcome, 1), make(chan struct{})
	go func() {
		var got outcome
		got.err = guard("the receipt", func() (err error) {
			select {
			case <-loaded:
			case <-ended:
				return errDropped
			case <-ctx.Done(): // what is written until that has ended it is still read
				return errDropped
			}
			got.receipt, err = c.read(answers, c.arrived)
			return err
		})
		// What comes after it is not looked at, but it is not left to stop the other end.
		_, _ = io.Copy(io.Discard, io.LimitReader(answers, answerRest))
		answers.CloseWithError(errors.New("it answers without end"))
		read <- got
	}()
	err := run()
	close(ended)
	to.Close()
	got := <-read
	// How the script ended tells more than that its answer broke off.
	if err == nil && got.err != nil {
		err = fmt.Errorf("%s: it took %d of %s: %w", c.target.Name(), got.receipt.count(), CountText(len(c.infos), "path"), got.err)
	}
	return got.receipt, err
}

// answerRest is how much a target may say after all is said.
const answerRest = 64 << 10

func (r *receipt) count() int {
	if r == nil {
		return 0
	}
	return r.added
}

// counter counts what is written to it, and takes it for a sign of life.
type counter struct {
	atomic.Int64
	pulse *Pulse
	// passed is told how much it was, from the first byte on.
	passed func(bytes int64)
}

func (c *counter) Write(b []byte) (int, error) {
	c.pulse.Beat()
	c.passed(c.Add(int64(len(b))))
	return len(b), nil
}

// saying is what a host says of its own accord, told from the lines that a script of ours
// marks with a word that nobody else knows.
type saying struct {
	mark   string
	marked answer
}

// take takes a line, and reports whether it was marked.
func (s *saying) take(line string) bool {
	text, marked := strings.CutPrefix(line, s.mark+" ")
	if key, value, ok := strings.Cut(text, "="); marked && ok {
		s.marked = append(s.marked, pair{key, value})
	}
	return marked
}
