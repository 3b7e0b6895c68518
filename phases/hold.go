package phases

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
)

var (
	//go:embed hold.sh
	holdPart string
	//go:embed take.sh
	takeScript string
	//go:embed beat.sh
	beatScript string
	//go:embed release.sh
	leaveScript string
	//go:embed unlock.sh
	unlockScript string
)

const (
	// heartbeat is how often a hold is renewed, and lifetime how long it stands
	// without (hold.sh says the same): three may be late.
	heartbeat = 4 * time.Second
	lifetime  = 15 * time.Second
	// beatTimeout is how long the answer to a heartbeat may take before the
	// script that gives it is started anew.
	beatTimeout = 12 * time.Second
	// holdTimeout bounds taking and leaving a hold on one target, where a script
	// of whoever had it may have to be waited for.
	holdTimeout = 3 * time.Minute
)

// Holder is who may change a target, as the target has it.
type Holder struct {
	// Epoch numbers the holds of a target. It only grows: what comes with an
	// older one is refused there.
	Epoch     int64  `json:"epoch"`
	Promotion string `json:"promotion"`
	// Phase is the one that it was in at the last heartbeat; empty before the
	// first.
	Phase string `json:"phase,omitempty"`
	// Silent is how long ago that was, by the target's clock.
	Silent Duration  `json:"silent"`
	Since  time.Time `json:"since"`
	// Key is the fingerprint of the operator's SSH key.
	Key      string `json:"key,omitempty"`
	Operator string `json:"operator"`
}

// parseHolder reads what target.sh says of a hold; nil, if no one has it.
func parseHolder(text string) *Holder {
	f := strings.SplitN(text, "|", 7)
	if len(f) != 7 {
		return nil
	}
	h := &Holder{Promotion: f[1], Phase: f[2], Key: f[5], Operator: f[6]}
	h.Epoch, _ = strconv.ParseInt(f[0], 10, 64)
	silent, _ := strconv.Atoi(f[3])
	h.Silent = Duration(time.Duration(silent) * time.Second)
	h.Since, _ = time.Parse(time.RFC3339, f[4])
	return h
}

// Alive reports whether the holder has given a sign of life of late.
func (h *Holder) Alive() bool { return h != nil && time.Duration(h.Silent) < lifetime }

func (h *Holder) String() string {
	text := fmt.Sprintf("promotion %s of %s", h.Promotion, h.Operator)
	if h.Key != "" {
		text += " (" + h.Key + ")"
	}
	if h.Phase != "" {
		text += ", in " + h.Phase
	}
	return fmt.Sprintf("%s, since %s, last heartbeat %s ago", text, h.Since.Local().Format(time.DateTime), time.Duration(h.Silent))
}

// HeldError says that someone else holds a target.
type HeldError struct {
	Host   string
	Holder Holder
}

func (e *HeldError) Error() string { return fmt.Sprintf("%s: held by %s", e.Host, &e.Holder) }

// HoldLostError says that the hold of a target was taken from this run, and that
// the target takes nothing more from it.
type HoldLostError struct {
	Host string
	// Holder is who has it now; nil, if no one does.
	Holder *Holder
}

func (e *HoldLostError) Error() string {
	if e.Holder == nil {
		return e.Host + ": the hold of this promotion was taken away"
	}
	return fmt.Sprintf("%s: taken over by %s", e.Host, e.Holder)
}

// Hold is a run's right to change the targets of a promotion. While it is kept,
// each target is told again and again that its owner lives.
type Hold struct {
	promotion *Promotion

	mu    sync.Mutex
	phase string
	// entered is closed when the phase changes.
	entered chan struct{}
	epochs  map[string]int64
	// before are those that it was taken over from, by target.
	before map[string]*Holder
}

// Take takes the hold of the targets for the promotion: of all of them, or of none. mine tells
// of a hold that shows signs of life still whether its run is known to be over:
// then it is taken as well. The error is a *[HeldError] if someone else has it.
//
// The first target is asked before the others: of two operators who come at once,
// one gets it, and the other nothing.
func Take(ctx context.Context, p *Promotion, targets []Host, mine func(*Holder) bool) (*Hold, error) {
	// A copy: the heartbeats are beside what the phases do to theirs.
	own := *p
	h := &Hold{promotion: &own, entered: make(chan struct{}), epochs: map[string]int64{}, before: map[string]*Holder{}}
	own.Hold, own.Pulse, p.Hold = h, nil, h
	take := func(ctx context.Context, _ int, target Host) error { return h.take(ctx, target, mine) }
	err := each(ctx, targets[:1], take)
	if err == nil {
		err = each(ctx, targets[1:], take)
	}
	if err != nil {
		h.Release(ctx, "")
		return nil, err
	}
	return h, nil
}

// Account notes from whom the hold was taken over, once the promotion's notes are
// recorded.
func (h *Hold) Account(note func(host, text string)) {
	for _, target := range h.promotion.Targets {
		if before := h.before[target.Name()]; before != nil {
			note(target.Name(), "taken over from "+before.String())
		}
	}
}

func (h *Hold) take(ctx context.Context, target Host, mine func(*Holder) bool) error {
	p := h.promotion
	asked := false
	for over := ""; ; {
		a, err := h.ask(ctx, target, "take.sh", takeScript, map[string]string{
			"OPERATOR": p.Operator, "KEY": p.Key, "OVER": over, "LEDGER": p.ledgerMembers(),
			"LEAST": strconv.Itoa(leastRoom >> 10),
		})
		// Where the answer was lost the hold may have been granted. Then it is asked
		// for again, and taken over from this very promotion: left there it would
		// keep everyone out, and this operator too, until it ends by itself.
		if mayHaveRun(err) && ctx.Err() == nil && !asked {
			asked = true
			continue
		}
		if err != nil {
			return err
		}
		if holder := parseHolder(a.get("held")); holder != nil {
			own := asked && holder.Promotion == p.ID && holder.Operator == p.Operator && holder.Key == p.Key
			if over == "" && (own || mine(holder)) {
				over = strconv.FormatInt(holder.Epoch, 10)
				continue
			}
			return &HeldError{Host: target.Name(), Holder: *holder}
		}
		if err := enough(target.Name(), "/var/lib/rel", a.kib("room"), leastRoom); err != nil {
			return err
		}
		epoch, err := strconv.ParseInt(a.get("epoch"), 10, 64)
		if err != nil {
			return fmt.Errorf("%s: take.sh did not answer with an epoch", target.Name())
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.epochs[target.Name()], h.before[target.Name()] = epoch, parseHolder(a.get("over"))
		return nil
	}
}

func (h *Hold) ask(ctx context.Context, target Host, name, code string, env map[string]string) (answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, holdTimeout,
		fmt.Errorf("%s: %s took longer than %s", target.Name(), name, holdTimeout))
	defer cancel()
	return ask(ctx, h.promotion, target, h.promotion.onTarget(target, name, holdPart+code, env))
}

// epoch is the one that the target granted; zero, which the target refuses, if
// there is none.
func (h *Hold) epoch(target string) int64 {
	if h == nil {
		return 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.epochs[target]
}

// Enter says which phase the promotion is in, for those who find it held.
func (h *Hold) Enter(phase string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.phase = phase
	close(h.entered)
	h.entered = make(chan struct{})
}

// Keep renews the hold until stop is called. The returned context ends, with a
// *[HoldLostError] as its cause, when a target says that someone else has it. A
// target that cannot be reached is tried again and again: as long as nobody has
// come, the hold is still there.
func (h *Hold) Keep(ctx context.Context) (kept context.Context, stop func()) {
	kept, lost := context.WithCancelCause(ctx)
	// An interrupt does not end the heartbeats: an apply is finished first.
	beats, end := context.WithCancel(context.WithoutCancel(ctx))
	var group sync.WaitGroup
	for _, target := range h.promotion.Targets {
		if h.epoch(target.Name()) > 0 {
			group.Go(func() { h.keep(beats, target, lost) })
		}
	}
	return kept, func() {
		end()
		group.Wait()
		lost(nil)
	}
}

func (h *Hold) keep(ctx context.Context, target Host, lost context.CancelCauseFunc) {
	for ctx.Err() == nil {
		err := h.beat(ctx, target)
		var gone *HoldLostError
		if errors.As(err, &gone) {
			lost(gone)
			return
		}
		select {
		case <-time.After(heartbeat):
		case <-ctx.Done():
		}
	}
}

// beat sends heartbeats through one script until that ends.
func (h *Hold) beat(ctx context.Context, target Host) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	phases, lines := io.Pipe()
	answers, said := io.Pipe()
	heard := make(chan error)
	go func() {
		for scanner := bufio.NewScanner(answers); scanner.Scan(); {
			var err error
			if who, ok := strings.CutPrefix(scanner.Text(), "lost="); ok {
				err = &HoldLostError{Host: target.Name(), Holder: parseHolder(who)}
			}
			select {
			case heard <- err:
			case <-ctx.Done():
			}
		}
	}()
	ended := make(chan error, 1)
	go func() {
		s := h.promotion.onTarget(target, "beat.sh", holdPart+beatScript,
			map[string]string{"OPERATOR": h.promotion.Operator, "KEY": h.promotion.Key})
		s.Stdin, s.Stdout = phases, said
		_, err := target.Run(ctx, s)
		said.CloseWithError(err)
		phases.CloseWithError(io.ErrClosedPipe)
		ended <- err
	}()
	err := h.send(ctx, lines, heard, ended)
	// Its input ends, and it does; what does not is cut off.
	lines.Close()
	select {
	case <-ended:
	case <-time.After(time.Second):
		cancel(err)
		<-ended
	}
	return err
}

// send writes a line for each heartbeat, and waits for its answer.
func (h *Hold) send(ctx context.Context, lines io.Writer, heard, ended chan error) error {
	for {
		h.mu.Lock()
		phase, entered := h.phase, h.entered
		h.mu.Unlock()
		// Does not block for long: the script reads, or it ends.
		go func() { _, _ = io.WriteString(lines, phase+"\n") }()
		select {
		case err := <-heard:
			if err != nil {
				return err
			}
		case err := <-ended:
			ended <- err
			return err
		case <-time.After(beatTimeout):
			return fmt.Errorf("no answer to a heartbeat within %s", beatTimeout)
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case <-time.After(heartbeat):
		case <-entered:
		case err := <-ended:
			ended <- err
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Release lets the hold go where this run has it, and leaves word of the state
// that the promotion is in. What cannot be told goes without: a hold without
// heartbeats ends by itself.
func (h *Hold) Release(ctx context.Context, state string) {
	ctx = context.WithoutCancel(ctx)
	_ = each(ctx, h.promotion.Targets, func(ctx context.Context, _ int, target Host) error {
		if h.epoch(target.Name()) == 0 {
			return nil
		}
		ctx, cancel := context.WithTimeout(ctx, releaseTimeout)
		defer cancel()
		env := map[string]string{"LEDGER": h.promotion.ledgerMembers() + members("state", state)}
		_, err := h.ask(ctx, target, "release.sh", leaveScript, env)
		if mayHaveRun(err) {
			_, err = h.ask(ctx, target, "release.sh", leaveScript, env)
		}
		return err
	})
}

// releaseTimeout bounds the end of a run, which nothing depends on.
const releaseTimeout = 15 * time.Second

// Unlock takes the hold of a target away from the promotion that has it, and
// returns who that was; nil, if no one had it. force does so although its
// heartbeat is fresh; without, that is a *[HeldError].
func Unlock(ctx context.Context, p *Promotion, target Host, why string, force bool) (*Holder, error) {
	h := &Hold{promotion: p}
	env := map[string]string{"LEDGER": p.ledgerMembers() + members("why", why), "FORCE": ""}
	if force {
		env["FORCE"] = "yes"
	}
	a, err := h.ask(ctx, target, "unlock.sh", unlockScript, env)
	if err != nil {
		return nil, err
	}
	if holder := parseHolder(a.get("held")); holder != nil {
		return nil, &HeldError{Host: target.Name(), Holder: *holder}
	}
	return parseHolder(a.get("unlocked")), nil
}

// members are further JSON members of a line in a target's ledger.
func members(pairs ...string) string {
	var text string
	for i := 0; i < len(pairs); i += 2 {
		value, err := json.Marshal(pairs[i+1])
		if err != nil {
			panic(err) // a string always encodes
		}
		text += fmt.Sprintf(",%q:%s", pairs[i], value)
	}
	return text
}
