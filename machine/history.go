package machine

import (
	"cmp"
	"slices"
)

// History is all promotions of one app, in the order in which they were last
// moved: a promotion may be resumed long after a later one was opened.
type History []*Past

// NewHistory orders the promotions.
func NewHistory(pasts []*Past) History {
	h := slices.Clone(pasts)
	slices.SortStableFunc(h, func(a, b *Past) int { return cmp.Compare(a.lastSeq, b.lastSeq) })
	return h
}

// Find is the promotion with this id, or nil.
func (h History) Find(id string) *Past {
	for _, p := range h {
		if p.ID == id {
			return p
		}
	}
	return nil
}

// Live is the promotion that was last confirmed; nil before there was one.
func (h History) Live() *Past {
	for _, p := range slices.Backward(h) {
		if p.State == Healthy {
			return p
		}
	}
	return nil
}

// Resumable are the promotions that stopped before their end and that no later
// one has overtaken, oldest first.
func (h History) Resumable() []*Past {
	var list []*Past
	for _, p := range h {
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
