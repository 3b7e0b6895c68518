package show

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"choir.chat/rel/cmd/rel/github"
	"choir.chat/rel/journal"
	"choir.chat/rel/phases"
	"choir.chat/rel/remote"
)

const (
	// floodLines is how many lines of a host are printed in a second; the rest is in the
	// log file.
	floodLines = 200
	// tickEvery is how often it is said how far something is that takes long.
	tickEvery = 10 * time.Second
	// shownLines is how many lines of hosts are known to have been printed: several hosts'
	// last ones, of which a failure would repeat some.
	shownLines = 8 * TailLines
)

// Plain prints a line for everything: for logs and for CI.
type Plain struct {
	mu    sync.Mutex
	out   io.Writer
	paint Paint
	now   func() time.Time
	// github says that GitHub reads it, which takes some lines for commands; grouped, that
	// it was told of a group of lines.
	github, grouped bool
	floods          map[string]*flood
	// shown are the last lines of hosts that were printed of this attempt.
	shown []string
	// told is how far something is on each host, and when that was last said.
	told map[string]*told
}

type told struct {
	progress
	at time.Time
}

// flood is what a host printed since a time.
type flood struct {
	since time.Time
	lines int
}

// NewPlain prints to a log, to GitHub as that wants it.
func NewPlain(out io.Writer, paint Paint) *Plain {
	return &Plain{out: out, paint: paint, now: time.Now, github: github.On(), floods: map[string]*flood{}, told: map[string]*told{}}
}

func (p *Plain) Event(ev journal.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.subside(func(*flood) bool { return true })
	if ev.Kind == journal.Intent {
		clear(p.told)
		p.shown = nil
		p.group(ev.Phase)
	} else if ev.Kind != journal.Note {
		p.ungroup()
	}
	if mark, text := Describe(&ev); mark != "" {
		p.print(p.paint(MarkColour(ev.Kind), mark), text)
	}
}

func (p *Plain) Line(host, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	p.subside(func(f *flood) bool { return now.Sub(f.since) >= time.Second })
	f := p.floods[host]
	if f == nil {
		f = &flood{since: now}
		p.floods[host] = f
	}
	if f.lines++; f.lines <= floodLines {
		if p.shown = append(p.shown, text); len(p.shown) > shownLines {
			p.shown = p.shown[1:]
		}
		p.print(" ", HostPrefix(host)+"| "+text)
	}
}

// Unseen are those of the lines that end a failure which do not stand a little above. On
// GitHub all are: what stands above is folded.
func (p *Plain) Unseen(lines []string) (list []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range lines {
		if p.github || !slices.Contains(p.shown, line) {
			list = append(list, line)
		}
	}
	return list
}

// subside says how much was left out of the floods that are over.
func (p *Plain) subside(over func(*flood) bool) {
	for host, f := range p.floods {
		if !over(f) {
			continue
		}
		delete(p.floods, host)
		if more := f.lines - floodLines; more > 0 {
			p.print(" ", fmt.Sprintf("%s… %d lines more in the log file", HostPrefix(host), more))
		}
	}
}

// Tick says of what takes long how far it is.
func (p *Plain) Tick(host string, tick phases.Tick) {
	if tick.Unit == phases.Successes {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	last := p.told[host]
	if last == nil {
		last = &told{at: now}
		p.told[host] = last
	}
	last.take(tick, now)
	if now.Sub(last.at) >= tickEvery {
		last.at = now
		p.print(" ", HostPrefix(host)+last.text(now, 0))
	}
}

func (p *Plain) Say(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.print("•", text)
}

func (p *Plain) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.subside(func(*flood) bool { return true })
	p.ungroup()
}

func (p *Plain) print(mark, text string) {
	text = Flat(text)
	if p.github {
		text = github.Defuse(text)
	}
	fmt.Fprintf(p.out, "%s %s %s\n", p.now().Format(time.TimeOnly), mark, text)
}

// Flat is a text in one line: what comes after a line's end must not look like a line of
// rel's. Blanks stay as they are.
func Flat(text string) string { return strings.ReplaceAll(remote.Clean(text), "\n", " ") }

// group has what follows be shown as one.
func (p *Plain) group(name string) {
	if p.github {
		p.ungroup()
		p.grouped = true
		fmt.Fprintln(p.out, "::group::"+name)
	}
}

func (p *Plain) ungroup() {
	if p.grouped {
		p.grouped = false
		fmt.Fprintln(p.out, "::endgroup::")
	}
}
