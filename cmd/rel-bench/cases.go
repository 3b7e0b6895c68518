package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"choir.chat/rel/remote/lab"
)

// place is a distance between all the machines.
type place struct {
	RTT time.Duration `json:"rtt"`
	// Rate is in bytes a second, 0 without a limit.
	Rate int64 `json:"rate"`
}

func (p place) String() string {
	if p.Rate == 0 {
		return fmt.Sprintf("%d ms", p.RTT.Milliseconds())
	}
	return fmt.Sprintf("%d ms, %g Mbit/s", p.RTT.Milliseconds(), float64(p.Rate)*8/1e6)
}

const mbit = 1e6 / 8

// trial is a case: what is released, and where.
type trial struct {
	name, title string
	places      []place
	parties     []string
	// bump is the commit of each run; nil if nothing changes.
	bump *lab.Bump
	// first says that the target has nothing before each run.
	first bool
	// extra is the artifact that is copied, for the cases of copying alone.
	extra string
}

// copiers are those that copy store paths and do nothing else.
var copiers = []string{"predecessor", "nix-ssh", "nix-ssh-ng", "closure-gzip", "rsync", "rel"}

// The places of a case are those of the contract, and the cases of the contract come first; --all has all places.
var trials = []trial{
	{name: "nothing", title: "Nothing changed", places: at(100, 0), parties: promoters},
	{name: "three", title: "Three artifacts rebuilt", places: at(100, 0), parties: promoters, bump: &lab.Bump{}},
	{name: "line", title: "A program of 94 MB, one line changed", places: at(50, 20), parties: copiers, bump: &lab.Bump{Only: lab.Big}, extra: lab.Big},
	{name: "many", title: "300 small paths", places: at(50, 0), parties: copiers, bump: &lab.Bump{Only: lab.Many}, extra: lab.Many},
	{name: "one", title: "One artifact changed by one line", places: at(100, 0), parties: promoters, bump: &lab.Bump{Only: "sandbox", Line: true}},
	{name: "first", title: "First release", places: at(100, 0), parties: promoters, first: true},
	{name: "big", title: "A program of 94 MB, for the first time", places: at(50, 20), parties: copiers, first: true, extra: lab.Big},
}

var promoters = []string{"predecessor", "rel"}

func at(rtt, megabits float64) []place {
	return []place{{time.Duration(rtt * float64(time.Millisecond)), int64(megabits * mbit)}}
}

func caseNames() (names []string) {
	for _, t := range trials {
		names = append(names, t.name)
	}
	return names
}

func partyNames() []string { return copiers }

// chosen are the cases that o asks for.
func (o *options) chosen() ([]trial, error) {
	if err := known("case", o.Cases, caseNames()); err != nil {
		return nil, err
	}
	if err := known("party", o.Parties, partyNames()); err != nil {
		return nil, err
	}
	if o.Pairs < 1 {
		return nil, fmt.Errorf("--pairs %d: each party has to run at least once", o.Pairs)
	}
	if o.Quick {
		o.Pairs, o.Cases, o.Parties, o.RTT = 1, []string{"nothing"}, nil, []time.Duration{5 * time.Millisecond}
	}
	var list []trial
	for _, t := range trials {
		if len(o.Cases) > 0 && !slices.Contains(o.Cases, t.name) {
			continue
		}
		t.parties = slices.DeleteFunc(slices.Clone(t.parties), func(name string) bool {
			return len(o.Parties) > 0 && !slices.Contains(o.Parties, name)
		})
		t.places = o.places(t)
		list = append(list, t)
	}
	return list, nil
}

func known(what string, asked, names []string) error {
	for _, name := range asked {
		if !slices.Contains(names, name) {
			return fmt.Errorf("no %s is called %q; there are %s", what, name, strings.Join(names, ", "))
		}
	}
	return nil
}

// places are those of the case, or all, or those that were asked for.
func (o *options) places(t trial) []place {
	rtts, rates := o.RTT, o.Rate
	if o.All {
		rtts, rates = []time.Duration{0, 50 * time.Millisecond, 100 * time.Millisecond, 150 * time.Millisecond}, []float64{0, 20}
	}
	if rtts == nil && rates == nil {
		return t.places
	}
	if rtts == nil {
		rtts = []time.Duration{t.places[0].RTT}
	}
	if rates == nil {
		rates = []float64{float64(t.places[0].Rate) / mbit}
	}
	var list []place
	for _, rate := range rates {
		for _, rtt := range rtts {
			list = append(list, place{rtt, int64(rate * mbit)})
		}
	}
	return list
}
