package machine

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"choir.chat/rel/journal"
	"choir.chat/rel/phases"
)

// Promotions to which anything happens, in any order: after each step, what is
// recorded is what the oracle foretold, and what must always be true is.
func TestModel(t *testing.T) {
	w := newModelWorld(t)
	checks(t, 100, 3500, 15)
	rapid.Check(t, func(rt *rapid.T) { newModel(rt, w, &faulty{store: &memory{}}).play(rt) })
}

// The same with the journal as it lies on disk. Each append is synced: fewer.
func TestModelOnDisk(t *testing.T) {
	w := newModelWorld(t)
	checks(t, 3, 100, 8)
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "case")
		if err != nil {
			rt.Fatal(err)
		}
		store := journal.New(filepath.Join(dir, "journal.db"))
		store.Operator = journal.Operator{Name: "ada@laptop"}
		newModel(rt, w, &faulty{store: store}).play(rt)
		if head, err := store.Verify(); err != nil {
			rt.Errorf("the chain ends at %v: %v", head, err)
		}
	})
}

// checks sets how many cases are tried, and how many steps each has on average.
// REL_TEST_LONG asks for many.
func checks(t *testing.T, few, many, steps int) {
	t.Helper()
	if os.Getenv("REL_TEST_LONG") != "" {
		few = many
	}
	// A seed is printed, and is as good as a file.
	for name, value := range map[string]string{
		"rapid.checks": strconv.Itoa(few), "rapid.steps": strconv.Itoa(steps), "rapid.nofailfile": "true",
	} {
		set := flag.Lookup(name).Value
		before := set.String()
		t.Cleanup(func() { _ = set.Set(before) })
		if err := set.Set(value); err != nil {
			t.Fatal(err)
		}
	}
}

func newModelWorld(t *testing.T) *world {
	w := newWorld(t)
	adopting := phases.Adopting
	t.Cleanup(func() { phases.Adopting = adopting })
	phases.Adopting = w.table(adopting)
	return w
}

// faulty is a recorder that fails as the current step's script has it.
type faulty struct {
	store   Recorder
	script  script
	appends int
	// recorded is what the store has taken.
	recorded []journal.Event
}

func (f *faulty) begin(s script) { f.script, f.appends = s, 0 }

func (f *faulty) Append(ev journal.Event) (journal.Event, error) {
	f.appends++
	if f.script.refuse > 0 && (f.appends == f.script.refuse || f.script.onwards && f.appends > f.script.refuse) {
		return journal.Event{}, errDisk
	}
	kept, err := f.store.Append(ev)
	if err == nil {
		f.recorded = append(f.recorded, kept)
	}
	return kept, err
}

// events are those of a promotion, as the store has them now.
func (f *faulty) events(id string) ([]journal.Event, error) {
	if store, ok := f.store.(*journal.Journal); ok {
		return store.Events(id)
	}
	var list []journal.Event
	for _, ev := range f.store.(*memory).events {
		if ev.Promotion == id {
			list = append(list, ev)
		}
	}
	return list, nil
}

// model is several promotions in one journal.
type model struct {
	*world
	rec        *faulty
	promotions []*modelled
	// chosen is the promotion of the current step.
	chosen *modelled
	shown  []journal.Event
	// checked is how many events are known to have been shown as recorded.
	checked int
	script  script
	// interrupt is what Ctrl-C does in the current step.
	interrupt context.CancelCauseFunc
}

// modelled is one promotion: as it should be, and as it is.
type modelled struct {
	id     string
	oracle *oracle
	// machine is nil where the process is dead.
	machine *Machine
	// seen is how many of its events have been compared.
	seen int
}

var errPhase = errors.New("no route to host")

func newModel(rt *rapid.T, w *world, rec *faulty) *model {
	m := &model{world: w, rec: rec, interrupt: func(error) {}}
	w.runs, w.holds = nil, nil
	clear(w.seen)
	for _, name := range []string{"sync", "verify", "build", "copy", "apply", "health", "adopt"} {
		w.run[name] = func(ctx context.Context, _ *phases.Promotion) error { return m.do(ctx, name) }
		w.hold[name] = func(context.Context, *phases.Promotion) (string, error) { return m.sight(name) }
	}
	m.open(rt)
	return m
}

func (m *model) do(ctx context.Context, phase string) error {
	switch d := m.script.deeds[phase]; d {
	case fails:
		return errPhase
	case panics:
		panic("a bug in " + phase)
	case isCut, isLate, failsCut:
		m.interrupt(errCtrlC)
		if d == isCut {
			return ctx.Err()
		} else if d == failsCut {
			return errPhase
		}
	}
	return nil
}

func (m *model) sight(phase string) (string, error) {
	switch m.script.sights[phase] {
	case isLost:
		return phase + " is lost", nil
	case isUnknown:
		return "an answer that comes with an error is none", errPhase
	case looksPanic:
		panic("a bug in the look at " + phase)
	}
	return "", nil
}

func (m *model) play(rt *rapid.T) {
	rt.Repeat(map[string]func(*rapid.T){
		"":       m.check,
		"open":   m.open,
		"run":    m.goOn,
		"go on":  m.goOn, // twice as often as the others
		"look":   m.look,
		"abort":  m.abort,
		"die":    m.die,
		"to+fro": m.toAndFro,
	})
}

// begin draws what happens in the next step.
func (m *model) begin(rt *rapid.T, o *oracle) {
	s := script{deeds: map[string]deed{}, sights: map[string]sight{}}
	deeds := rapid.SampledFrom([]deed{succeeds, succeeds, succeeds, succeeds, fails, panics, isCut, isLate, failsCut})
	sights := rapid.SampledFrom([]sight{isThere, isLost, isLost, isUnknown, looksPanic})
	for _, phase := range []string{"sync", "verify", "build", "copy", "apply", "health", "adopt"} {
		s.deeds[phase] = deeds.Draw(rt, phase)
		s.sights[phase] = sights.Draw(rt, phase+" is seen")
	}
	if rapid.IntRange(0, 2).Draw(rt, "does the disk fail") == 0 {
		s.refuse = rapid.IntRange(1, 20).Draw(rt, "append that fails")
		s.onwards = rapid.Bool().Draw(rt, "and all later ones")
	}
	m.set(o, s)
}

func (m *model) set(o *oracle, s script) {
	m.script = s
	m.rec.begin(s)
	o.begin(s)
}

func (m *model) choose(rt *rapid.T) *modelled {
	if len(m.promotions) == 0 {
		rt.Skip("the first one could not be recorded")
	}
	m.chosen = rapid.SampledFrom(m.promotions).Draw(rt, "promotion")
	return m.chosen
}

func (m *model) open(rt *rapid.T) {
	if len(m.promotions) >= 4 {
		rt.Skip("there are enough of them")
	}
	kind := rapid.SampledFrom([]Kind{Forward, Forward, Forward, Rollback, Rollback, Adopt}).Draw(rt, "kind")
	p := &modelled{id: fmt.Sprintf("p%d", len(m.promotions)+1), oracle: newOracle(kind)}
	m.begin(rt, p.oracle)
	opens := p.oracle.append("opened new")
	machine, err := Open(m.rec, &phases.Promotion{ID: p.id}, startOf(kind), m.show)
	if opens != (err == nil) {
		rt.Fatalf("opening %s: %v", p.id, err)
	}
	if opens {
		p.machine = machine
		m.promotions, m.chosen = append(m.promotions, p), p
		m.compare(rt, p)
	}
}

func (m *model) show(ev journal.Event) { m.shown = append(m.shown, ev) }

// alive is the promotion's machine; a dead one is taken up again first.
func (m *model) alive(rt *rapid.T, p *modelled) *Machine {
	if p.machine != nil {
		return p.machine
	}
	if !p.oracle.ended() {
		p.oracle.resume()
	}
	before := m.rec.appends
	machine, err := Resume(m.rec, &phases.Promotion{}, m.replay(rt, p), m.show)
	if p.oracle.ended() && (err == nil || m.rec.appends != before) {
		rt.Fatalf("%s is over, and was resumed: %v", p.id, err)
	}
	if err != nil {
		return nil
	}
	p.machine = machine
	return machine
}

func (m *model) replay(rt *rapid.T, p *modelled) *Past {
	events, err := m.rec.events(p.id)
	if err != nil {
		rt.Fatal(err)
	}
	past, err := Replay(events)
	if err != nil {
		rt.Fatal(err)
	}
	return past
}

func (m *model) goOn(rt *rapid.T) {
	p := m.choose(rt)
	m.begin(rt, p.oracle)
	if machine := m.alive(rt, p); machine != nil {
		m.run(rt, p, machine)
	}
	m.compare(rt, p)
}

func (m *model) run(rt *rapid.T, p *modelled, machine *Machine) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	m.interrupt = cancel
	p.oracle.run()
	err := machine.Run(ctx)
	if (err == nil) != p.oracle.ended() {
		rt.Fatalf("%s is %s, and Run returned %v", p.id, machine.State(), err)
	}
	var limit *LimitError
	if errors.As(err, &limit) && (limit.Moves < 64 || limit.Promotion != p.id) {
		rt.Fatalf("%s was refused after %d moves", p.id, p.oracle.moves)
	}
}

func (m *model) look(rt *rapid.T) {
	p := m.choose(rt)
	m.begin(rt, p.oracle)
	if machine := m.alive(rt, p); machine != nil {
		p.oracle.look()
		_ = machine.Look(context.Background())
	}
	m.compare(rt, p)
}

func (m *model) abort(rt *rapid.T) {
	p := m.choose(rt)
	m.begin(rt, p.oracle)
	reverted := rapid.Bool().Draw(rt, "reverted")
	if machine := m.alive(rt, p); machine != nil {
		was := p.oracle.state
		p.oracle.abort(map[bool]string{false: "aborted", true: "reverted"}[reverted])
		err := machine.Abort("no longer wanted", reverted)
		if (err == nil) != (p.oracle.state != was) {
			rt.Fatalf("giving %s up from %s: %v", p.id, was, err)
		}
	}
	m.compare(rt, p)
}

// die throws the machine away, as the end of its process does.
func (m *model) die(rt *rapid.T) { m.choose(rt).machine = nil }

// toAndFro resumes a promotion whose targets go back each time.
func (m *model) toAndFro(rt *rapid.T) {
	p := m.choose(rt)
	for range rapid.IntRange(1, 12).Draw(rt, "times") {
		m.set(p.oracle, script{
			deeds:  map[string]deed{"health": fails},
			sights: map[string]sight{"build": isLost, "copy": isLost, "apply": isLost},
		})
		if machine := m.alive(rt, p); machine != nil {
			m.run(rt, p, machine)
		}
		m.compare(rt, p)
	}
}

// compare holds what a step recorded against what was foretold.
func (m *model) compare(rt *rapid.T, p *modelled) {
	events, err := m.rec.events(p.id)
	if err != nil {
		rt.Fatal(err)
	}
	var got []string
	for _, ev := range events[p.seen:] {
		got = append(got, line(ev))
	}
	if !slices.Equal(got, p.oracle.lines) {
		rt.Fatalf("%s recorded\n     %s\nwant %s", p.id, strings.Join(got, "\n     "), strings.Join(p.oracle.lines, "\n     "))
	}
	p.seen = len(events)
}

// check is what must be true after each step.
func (m *model) check(rt *rapid.T) {
	// What was shown is what was recorded, and that is in the promotions.
	seen := 0
	for _, p := range m.promotions {
		seen += p.seen
	}
	if len(m.shown) != len(m.rec.recorded) || len(m.rec.recorded) != seen {
		rt.Fatalf("%d events were shown, %d recorded, and %d are there", len(m.shown), len(m.rec.recorded), seen)
	}
	for ; m.checked < seen; m.checked++ {
		shown, recorded := m.shown[m.checked], m.rec.recorded[m.checked]
		if !reflect.DeepEqual(shown, recorded) || recorded.Seq != int64(m.checked)+1 {
			rt.Fatalf("event %d was shown as %+v and recorded as %+v", m.checked+1, shown, recorded)
		}
	}
	if m.chosen == nil {
		return
	}
	p, past := m.chosen, m.replay(rt, m.chosen)
	if past.State != p.oracle.state || p.machine != nil && p.machine.State() != past.State {
		rt.Fatalf("%s should be %s, and is recorded to be %s", p.id, p.oracle.state, past.State)
	}
	if past.moves != p.oracle.moves || p.machine != nil && p.machine.moves != past.moves {
		rt.Fatalf("%s was moved %d times, and %d are recorded", p.id, p.oracle.moves, past.moves)
	}
	if unsettled := past.Unsettled; (unsettled != nil) != (p.oracle.open != "") ||
		unsettled != nil && line(*unsettled) != "intent "+p.oracle.open {
		rt.Fatalf("%s has %v open, want %q", p.id, unsettled, p.oracle.open)
	}
	events, err := m.rec.events(p.id)
	if err != nil {
		rt.Fatal(err)
	}
	if complaint := illegal(p.oracle.kind, events); complaint != "" {
		rt.Fatalf("%s: %s", p.id, complaint)
	}
}

// illegal says what about a promotion's events can never be.
func illegal(kind Kind, events []journal.Event) string {
	state, moved, attempts := "", 0, map[string]int{}
	for i, ev := range events {
		if slices.Contains(ends, state) {
			return fmt.Sprintf("%s is recorded after the end", line(ev))
		}
		switch ev.Kind {
		case journal.Opened:
			if i != 0 {
				return "it is opened twice"
			}
			state = ev.State
		case journal.Intent:
			if attempts[ev.Phase]++; ev.Attempt != attempts[ev.Phase] {
				return fmt.Sprintf("attempt %d at %s is numbered %d", attempts[ev.Phase], ev.Phase, ev.Attempt)
			}
		case journal.Note, journal.Failed, journal.Interrupted:
			if ev.Attempt != attempts[ev.Phase] {
				return fmt.Sprintf("%s belongs to no attempt", line(ev))
			}
		case journal.Moved:
			move := ev.From + ">" + ev.State
			if ev.Phase != "" {
				move += " " + ev.Phase
			}
			if ev.From != state || !slices.Contains(moves[kind], move) || ev.Attempt != attempts[ev.Phase] {
				return fmt.Sprintf("%s: from %s there is no such move", line(ev), state)
			}
			state = ev.State
			if moved++; moved > 64 && state != "aborted" && state != "reverted" || moved > 65 {
				return fmt.Sprintf("it was moved %d times", moved)
			}
		}
	}
	return ""
}
