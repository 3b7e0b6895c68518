package phases

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"
)

// sighted is a host that is reached, or not.
type sighted struct {
	local
	is bool
}

func (s *sighted) Reached() bool { return s.is }

// Whoever waits for a job whose target is away is told until when, and again and again
// that it is waited for still; not once it is there.
func TestSearch(t *testing.T) {
	defer func(was time.Duration) { searchTold = was }(searchTold)
	searchTold = 5 * time.Millisecond
	for _, there := range []bool{false, true} {
		var mu sync.Mutex
		var notes []string
		p := &Promotion{Plan: Plan{Confirm: Duration(3 * time.Minute)}, Note: func(_, text string) {
			mu.Lock()
			defer mu.Unlock()
			notes = append(notes, text)
		}}
		s := p.search(&sighted{local{name: "prod"}, there}, "apply")
		time.Sleep(100 * time.Millisecond)
		s.end()
		until := "until " + s.until.Format(time.TimeOnly)
		if !strings.Contains(notes[0], "looked for again for 5m0s, "+until) {
			t.Errorf("it began with %q", notes[0])
		}
		if (len(notes) > 2) == there || !there && !strings.Contains(notes[2], "not reached yet; the apply is looked for "+until) {
			t.Errorf("reached %t: it was told %q", there, notes)
		}
	}
}

// away is a host that loses its connection under the first script; the next waits until it
// is there again, or nobody wants it any more.
type away struct {
	sighted
	begun int
	back  time.Duration
}

func (a *away) Run(ctx context.Context, _ Script) ([]byte, error) {
	if a.begun++; a.begun == 1 {
		return nil, lostError{}
	}
	select {
	case <-time.After(a.back):
		return []byte("end={\"result\": \"failed\"}\n"), nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// A dial does not outlast what was told; a job that is found again by then is followed to
// its end.
func TestSearchEnds(t *testing.T) {
	defer func(was time.Duration) { Again = was }(Again)
	Again = time.Millisecond
	for _, found := range []bool{false, true} {
		p := &Promotion{Plan: Plan{Confirm: Duration(200*time.Millisecond - returnTime)}, Facts: Facts{Verify: &Verified{}, Build: &Release{}},
			Note: func(string, string) {}, Line: func(string, string) {}, Pulse: new(Pulse)}
		target := &away{sighted: sighted{local{name: "prod"}, found}, back: time.Second}
		began := time.Now()
		o, err := p.job(t.Context(), target, "revert", "")
		if took := time.Since(began); !found && (!isLost(err) || took > 900*time.Millisecond) {
			t.Errorf("away: %v after %s", err, took)
		}
		if found && (err != nil || o.Result != "failed") {
			t.Errorf("found again: %+v, %v", o, err)
		}
	}
}
