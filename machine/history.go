package machine

import (
	"cmp"
	"slices"
	"time"

	"choir.chat/rel/journal"
)

// Chronicle is what the machine needs of a journal to look back.
type Chronicle interface {
	// Recent returns the events of the promotions that were at work since the last
	// event that settles everything before it, which is among them.
	Recent(settles func(journal.Event) bool) ([][]journal.Event, error)
	// Events returns those of one promotion; none, if there is none of that id.
	Events(promotion string) ([]journal.Event, error)
	// Last returns the ids of the n promotions that were opened last, of all if n is
	// zero, the oldest first.
	Last(n int) ([]string, error)
}

// History is all promotions of one app. Only those that were at work since one was
// last confirmed are read to begin with: what is live and what can be resumed is
// among them, however long the past is. The zero History is an empty one.
type History struct {
	// recent are those, in the order in which they were last moved: a promotion may
	// be resumed long after a later one was opened.
	recent    []*Past
	chronicle Chronicle
}

// Recall reads what happened.
func Recall(c Chronicle) (History, error) {
	lists, err := c.Recent(func(ev journal.Event) bool { return ev.Kind == journal.Moved && ev.State == Healthy })
	if err != nil {
		return History{}, err
	}
	var pasts []*Past
	for _, events := range lists {
		past, err := Replay(events)
		if err != nil {
			return History{}, err
		}
		pasts = append(pasts, past)
	}
	h := NewHistory(pasts)
	h.chronicle = c
	return h, nil
}

// NewHistory is one of these promotions alone.
func NewHistory(pasts []*Past) History {
	h := History{recent: slices.Clone(pasts)}
	slices.SortStableFunc(h.recent, func(a, b *Past) int { return cmp.Compare(a.lastSeq, b.lastSeq) })
	return h
}

// Find is the promotion with this id, or nil.
func (h History) Find(id string) (*Past, error) {
	for _, p := range h.recent {
		if p.ID == id {
			return p, nil
		}
	}
	if h.chronicle == nil {
		return nil, nil
	}
	events, err := h.chronicle.Events(id)
	if err != nil || len(events) == 0 {
		return nil, err
	}
	return Replay(events)
}

// Last are the ids of the n promotions that were opened last, of all if n is zero,
// the oldest first.
func (h History) Last(n int) ([]string, error) {
	if h.chronicle != nil {
		return h.chronicle.Last(n)
	}
	var ids []string
	for _, p := range h.recent {
		ids = append(ids, p.ID)
	}
	slices.Sort(ids)
	if n > 0 {
		ids = ids[max(0, len(ids)-n):]
	}
	return ids, nil
}

// Updated is when anything was last recorded.
func (h History) Updated() (at time.Time) {
	for _, p := range h.recent {
		if p.Updated.After(at) {
			at = p.Updated
		}
	}
	return at
}

// Live is the promotion that was last confirmed; nil before there was one.
func (h History) Live() *Past {
	for _, p := range slices.Backward(h.recent) {
		if p.State == Healthy {
			return p
		}
	}
	return nil
}

// Successor is the promotion that became healthy next after p did, and so took its
// release off the targets; nil, if p never was, or is live.
func (h History) Successor(p *Past) (*Past, error) {
	if p.State != Healthy {
		return nil, nil
	}
	ids, err := h.Last(0)
	if err != nil {
		return nil, err
	}
	// One that was opened before p was overtaken by it.
	from, _ := slices.BinarySearch(ids, p.ID+"\x00")
	for _, id := range ids[from:] {
		if next, err := h.Find(id); err != nil || next != nil && next.State == Healthy {
			return next, err
		}
	}
	return nil, nil
}

// Resumable are the promotions that stopped before their end and that no later
// one has overtaken, oldest first.
func (h History) Resumable() []*Past {
	var list []*Past
	for _, p := range h.recent {
		if !p.Ended() && h.Overtaken(p) == nil {
			list = append(list, p)
		}
	}
	return list
}

// Overtaken is the live promotion, if it was opened after p or became healthy
// after p was last at work: p knows the targets as they no longer are, and going
// on with it would take that release away.
func (h History) Overtaken(p *Past) *Past {
	if live := h.Live(); live != nil && (live.ID > p.ID || live.lastSeq > p.lastSeq) {
		return live
	}
	return nil
}
