package phases

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"
)

var (
	//go:embed hold.sh
	holdPart string
	//go:embed take.sh
	takeScript string
	//go:embed prune.sh
	prunePart string
	//go:embed leave.sh
	leaveScript string
	//go:embed unlock.sh
	unlockScript string
)

const (
	// holdTimeout bounds taking a hold on one target, where a script of whoever had
	// it may have to be waited for.
	holdTimeout = 3 * time.Minute
	// releaseTimeout bounds the end of a run, which nothing depends on.
	releaseTimeout = 15 * time.Second
)

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

// Take takes the hold of the targets for the promotion: of all of them, or of none.
// mine tells of a hold that shows signs of life still whether its run is known to
// be over: then it is taken as well. The error is a *[HeldError] if someone else has it.
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
		h.Release(ctx, "", false)
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
		p.Seen.held(target.Name(), epoch)
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

// Release lets the hold go where this run has it, and leaves word of the state
// that the promotion is in. What cannot be told goes without: a hold without
// heartbeats ends by itself. confirmed says that the release is, on all targets: what
// no one will go back to is unpinned then. Who cannot do it does it the next time.
func (h *Hold) Release(ctx context.Context, state string, confirmed bool) {
	ctx = context.WithoutCancel(ctx)
	keep, within := "", releaseTimeout
	if confirmed {
		within = confirmTimeout // there may be many releases
		keep = strconv.Itoa(h.promotion.Plan.Keep)
	}
	_ = each(ctx, h.promotion.Targets, func(ctx context.Context, _ int, target Host) error {
		if h.epoch(target.Name()) == 0 {
			return nil
		}
		ctx, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		env := map[string]string{"LEDGER": h.promotion.ledgerMembers() + members("state", state), "KEEP": keep}
		_, err := h.ask(ctx, target, "leave.sh", prunePart+leaveScript, env)
		if mayHaveRun(err) {
			_, err = h.ask(ctx, target, "leave.sh", prunePart+leaveScript, env)
		}
		return err
	})
}

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
