package phases

import (
	"context"
	"fmt"
	"io"
	"net"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// Host is what a phase needs of a machine. Its methods may be called by
// several goroutines at once and end when their context does.
type Host interface {
	// Name is the alias that the operator knows the host by.
	Name() string
	// Run runs a script and returns what it printed, made safe to show.
	Run(context.Context, Script) ([]byte, error)
	// Upload puts data at path, whole or not at all, with the given mode.
	Upload(ctx context.Context, path string, data []byte, mode uint32) error
	// DialContext connects to addr as the host sees it.
	DialContext(ctx context.Context, network, addr string) (net.Conn, error)
	// Uplink is how long a word there and back takes, and how many bytes can be sent
	// there in a second; zero for what is not known. That may be far less than can be: with
	// probe it is measured.
	Uplink(ctx context.Context, probe bool) (rtt time.Duration, bytesPerSecond float64)
	// Redial opens a connection of its own to the same host.
	Redial(ctx context.Context) (Connection, error)
	// Loan makes a login at this host for another to use, which calls it by address:
	// [user@]host[:port]. What that leaves out is as the operator has it.
	Loan(ctx context.Context, address string) (Loan, error)
}

// Connection is a Host that whoever opened it has to close.
type Connection interface {
	Host
	Close()
}

// Script is a program for the host's /bin/sh.
type Script struct {
	// Name is what errors call it.
	Name string
	// Code is POSIX sh; Env is its data, in values without newlines.
	Code string
	Env  map[string]string
	// Root says that the script has to run as root, whoever logs in.
	Root bool
	// Reads says that the script changes nothing: it may be sent again when it is
	// not known what became of it.
	Reads bool
	// Stdin is the script's further input, if any. Without Stdout, Loan and Lasts it is
	// read whole before the script begins.
	Stdin io.Reader
	// Stdout takes raw output that is not an answer; without it, the output is
	// the answer that Run returns, capped.
	Stdout io.Writer
	// Bytes says that the answer is no text: it is returned as it came.
	Bytes bool
	// Line takes each line of the script's standard error, made safe to show.
	Line func(string)
	// Decode returns the text that stands for a line of the standard error, with the ends
	// of its lines, before anything else is done with that; nil leaves all as it is.
	Decode func(line string) string
	// Loan is a login elsewhere that the script may use; nil for none.
	Loan Loan
	// Lasts says that the script ends with its input, whenever that is.
	Lasts bool
}

// answer is a script's reply: key=value lines, in order.
type answer []pair

type pair struct{ key, value string }

// ask runs a script and parses its answer. Lines that are no key=value are
// refused: a host that says anything else was not understood.
func ask(ctx context.Context, p *Promotion, host Host, s Script) (answer, error) {
	if s.Line == nil {
		s.Line = p.lineOf(host)
	}
	out, err := host.Run(ctx, s)
	p.Pulse.Beat()
	if err != nil {
		return nil, err
	}
	a, err := parseAnswer(host.Name(), s.Name, out)
	if err == nil && a.has("fenced") {
		return nil, &HoldLostError{Host: host.Name(), Holder: parseHolder(a.get("fenced"))}
	}
	return a, err
}

// lineOf takes the lines that the host prints.
func (p *Promotion) lineOf(host Host) func(string) {
	return func(line string) {
		p.Pulse.Beat()
		p.Line(host.Name(), line)
	}
}

func parseAnswer(host, script string, out []byte) (answer, error) {
	var a answer
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSuffix(line, "\n")
		key, value, ok := strings.Cut(line, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("%s: %s answered %q, not key=value", host, script, clip(line))
		}
		a = append(a, pair{key, value})
	}
	return a, nil
}

// get is the first value of key, or nothing.
func (a answer) get(key string) string {
	for _, p := range a {
		if p.key == key {
			return p.value
		}
	}
	return ""
}

// has reports whether there is a line with that key.
func (a answer) has(key string) bool {
	return slices.ContainsFunc(a, func(p pair) bool { return p.key == key })
}

// all are the values of key, in order.
func (a answer) all(key string) []string {
	var values []string
	for _, p := range a {
		if p.key == key {
			values = append(values, p.value)
		}
	}
	return values
}

// kib is a size that was answered in KiB, in bytes; zero, if it is no size.
func (a answer) kib(key string) int64 {
	n, err := strconv.ParseUint(a.get(key), 10, 53)
	if err != nil {
		return 0
	}
	return int64(n) << 10
}

// table are the values of key that are a name and a value of it, with a tab
// between them.
func (a answer) table(key string) map[string]string {
	table := map[string]string{}
	for _, row := range a.all(key) {
		name, value, _ := strings.Cut(row, "\t")
		table[name] = value
	}
	return table
}

func clip(s string) string {
	const most = 200
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// each runs fn for all hosts side by side and waits for all: an error on one
// host does not cut the others short, so that what was done to each is known.
func each(ctx context.Context, hosts []Host, fn func(ctx context.Context, i int, host Host) error) error {
	var group errgroup.Group
	failures := make([]error, len(hosts))
	for i, host := range hosts {
		group.Go(func() error {
			failures[i] = guard(host.Name(), func() error { return fn(ctx, i, host) })
			return nil
		})
	}
	_ = group.Wait()
	return Join(failures)
}

// guard turns a panic in fn into an error: in a goroutine of its own nobody else
// could, and the process would end with an attempt that has no outcome.
func guard(name string, fn func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: panic: %v\n%s", name, r, panicStack())
		}
	}()
	return fn()
}

// panicStack is where the panic that is being recovered came from, a line per
// call: the innermost few tell the bug, and the rest is always the same.
func panicStack() string {
	const most = 8
	calls := make([]uintptr, 32)
	frames := runtime.CallersFrames(calls[:runtime.Callers(3, calls)])
	var list []string
	for more := true; more && len(list) < most; {
		var frame runtime.Frame
		frame, more = frames.Next()
		if frame.Function != "" && !strings.HasPrefix(frame.Function, "runtime.") {
			list = append(list, fmt.Sprintf("%s (%s:%d)", frame.Function, path.Base(frame.File), frame.Line))
		}
	}
	return strings.Join(list, "\n")
}

// HostErrors are the failures of several hosts, in the plan's order.
type HostErrors []error

func (e HostErrors) Error() string {
	texts := make([]string, len(e))
	for i, err := range e {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap gives errors.As the failures to search.
func (e HostErrors) Unwrap() []error { return e }

// Join makes one error of those of several hosts: nil of none, the very one of a
// single one, and else [HostErrors].
func Join(failures []error) error {
	var list HostErrors
	for _, err := range failures {
		if several, ok := err.(HostErrors); ok {
			list = append(list, several...)
		} else if err != nil {
			list = append(list, err)
		}
	}
	switch len(list) {
	case 0:
		return nil
	case 1:
		return list[0]
	}
	return list
}

// lastLine ends the input of a script that changes something by it: a connection that
// is cut ends what the script reads just as its end does (target.sh's whole).
const lastLine = "# end\n"

// table writes rows as tab-separated lines, a script's list input. Config
// refuses values with tabs and newlines.
func table(rows ...[]string) io.Reader {
	var b strings.Builder
	for _, row := range rows {
		b.WriteString(strings.Join(row, "\t"))
		b.WriteByte('\n')
	}
	return strings.NewReader(b.String())
}
