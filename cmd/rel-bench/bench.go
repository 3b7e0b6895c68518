package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"choir.chat/rel/remote/lab"
)

// stand is where it is measured: a lab, and an operator's files for the case at hand.
type stand struct {
	*lab.Lab
	rel     string
	scratch string
	say     func(string)
	// journal is the one of the case, and runs counts what has been run: each has a folder of its own.
	journal string
	runs    int
}

// run is one measured run of a party.
type run struct {
	Case  string `json:"case"`
	Party string `json:"party"`
	place
	// Wall is what it took; of rel, in the cases of copying, its copy phase alone.
	Wall time.Duration `json:"wall"`
	// Phases are those of rel.
	Phases map[string]time.Duration `json:"phases,omitempty"`
	// Conns, Rounds and Operator are the connections, sequential round trips and bytes between operator and hosts, Between
	// and Sent the connections and bytes between the hosts.
	Conns    int   `json:"conns"`
	Rounds   int   `json:"rounds"`
	Beside   int   `json:"beside,omitempty"` // those beside handshakes, of rel
	Operator int64 `json:"operator"`
	Between  int   `json:"between"`
	Sent     int64 `json:"sent"`
	Memory   int64 `json:"memory,omitempty"`
	// Least is how few bytes the best delta has.
	Least int64 `json:"least"`
}

const (
	// runWithin bounds one run, base included: the slowest is a copy of 94 MB, twice through 20 Mbit/s.
	runWithin = 10 * time.Minute
	// setupWithin bounds what is done between the runs.
	setupWithin = 20 * time.Minute
)

// bench runs the cases and writes the report, of what there is if it is cut short.
func bench(ctx context.Context, o options, say func(string)) error {
	list, err := o.chosen()
	if err != nil {
		return err
	}
	if len(o.From) > 0 {
		return again(o)
	}
	if err := lab.Available(); err != nil {
		return err
	}
	if _, err := os.Stat(o.Rel); err != nil {
		return fmt.Errorf("there is no rel to measure (make build): %w", err)
	}
	began := time.Now()
	s, down, err := raise(ctx, o, list, say)
	if err != nil {
		return err
	}
	defer down()
	until, cancel := context.WithDeadline(ctx, time.Now().Add(o.Within))
	defer cancel()
	var m measurement
	err = s.rows(until, list, o.Pairs, func(r run) { m.runs = append(m.runs, r) })
	if ctx.Err() == nil && until.Err() != nil {
		say(fmt.Sprintf("stopped after %s: what is not measured by now is not in the report", o.Within))
	}
	if len(m.runs) == 0 {
		return errors.Join(errors.New("nothing was measured"), err)
	}
	var failed error
	m.Help, m.SSH, failed = s.light(ctx)
	m.About, m.Took = s.describe(context.WithoutCancel(ctx)), time.Since(began)
	if o.Raw != "" {
		err = errors.Join(err, m.write(o.Raw))
	}
	return errors.Join(err, failed, os.WriteFile(o.Out, []byte(report([]measurement{m}, o.Remark)), 0o644))
}

// raise brings the lab up, with what the cases need.
func raise(ctx context.Context, o options, list []trial, say func(string)) (s *stand, down func(), err error) {
	dir, err := os.MkdirTemp("/var/tmp", "rel-bench-")
	if err != nil {
		return nil, nil, err
	}
	stop, err := lab.Guard(dir)
	if err != nil {
		return nil, nil, err
	}
	down = func() {
		if err := lab.Down(context.Background(), dir, nil); err != nil {
			say("clearing up: " + err.Error())
			return
		}
		stop()
		os.RemoveAll(dir)
	}
	var extra []string
	for _, t := range list {
		if t.extra != "" && !slices.Contains(extra, t.extra) {
			extra = append(extra, t.extra)
		}
	}
	l, err := lab.Up(ctx, lab.Options{Dir: dir, Extra: extra, Log: say})
	if err != nil {
		down()
		return nil, nil, err
	}
	s = &stand{Lab: l, rel: o.Rel, scratch: filepath.Join(dir, "scratch"), say: say}
	if err := errors.Join(os.Mkdir(s.scratch, 0o700), s.introduce(ctx)); err != nil {
		down()
		return nil, nil, err
	}
	return s, down, nil
}

// rows measures the cases one after the other, until the time is up. What fails does not keep the others.
func (s *stand) rows(ctx context.Context, list []trial, pairs int, keep func(run)) (failed error) {
	for _, t := range list {
		for _, p := range t.places {
			err := s.row(ctx, t, p, pairs, keep)
			if ctx.Err() != nil {
				return failed
			}
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// row measures one case in one place: the parties in turn, as often as asked for.
func (s *stand) row(ctx context.Context, t trial, p place, pairs int, keep func(run)) error {
	if err := s.clear(ctx, t); err != nil {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	for pair := range pairs {
		parties := slices.Clone(t.parties)
		if pair%2 == 1 && t.extra == "" {
			slices.Reverse(parties)
		}
		var measure func(context.Context, trial, place, []string, func(run)) error = s.promotions
		if t.extra != "" {
			measure = s.copies
		}
		err := measure(ctx, t, p, parties, func(r run) {
			s.say(fmt.Sprintf("%s, %s, %d of %d: %s %s (%d connections, %d round trips, %d bytes of the operator, %d between the hosts)",
				t.name, p, pair+1, pairs, r.Party, r.Wall.Round(10*time.Millisecond), r.Conns, r.Rounds, r.Operator, r.Sent))
			keep(r)
		})
		if err != nil {
			return fmt.Errorf("%s, %s: %w", t.name, p, err)
		}
	}
	return nil
}
