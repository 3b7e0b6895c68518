package phases

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// The connections that a release is confirmed over are dialled in goroutines of their own.
func TestRedialSurvivesAPanic(t *testing.T) {
	p := &Promotion{Targets: []Host{&local{name: "a"}, &jammed{local{name: "b"}}}}
	r := p.redial(t.Context())
	if err := r.wait(t.Context()); err == nil || !strings.Contains(err.Error(), "b: panic: no network") {
		t.Errorf("got %v", err)
	}
	if len(r.list) != 2 || r.list[0] == nil || r.list[1] != nil {
		t.Errorf("the connections are %v", r.list)
	}
	r.drop()
}

// redialled is a far host whose fresh connections are counted.
type redialled struct {
	*far
	dialled, closed *atomic.Int32
	// refuses are the first dials that fail, jobs those whose line never comes.
	refuses int32
	silent  bool
}

func (r *redialled) Redial(ctx context.Context) (Connection, error) {
	if r.dialled.Add(1) <= r.refuses {
		return nil, errors.New("connection refused")
	}
	connection, err := r.far.Redial(ctx)
	return &freshFar{Connection: connection, closed: r.closed}, err
}

func (r *redialled) Run(ctx context.Context, s Script) ([]byte, error) {
	if r.silent {
		s.Line = func(string) {}
	}
	return r.far.Run(ctx, s)
}

type freshFar struct {
	Connection
	closed *atomic.Int32
}

func (f *freshFar) Close() { f.closed.Add(1) }

// TestEarly: what confirms is dialled for once every target is up, and again where that
// did not do; and nothing of it stays open.
func TestEarly(t *testing.T) {
	for _, c := range []struct {
		name    string
		targets int
		refuses int32
		silent  bool
		// fails is the apply, in spite of all being up.
		fails bool
		// during and dialled are how many dials there were at the end of the apply, and of all.
		during, dialled int32
	}{
		{"one target", 1, 0, false, false, 1, 1},
		{"two targets", 2, 0, false, false, 2, 2},
		{"it is refused at first", 1, 1, false, false, 1, 2},
		{"a job of another attempt", 1, 0, true, false, 0, 1},
		{"it did not stay up", 1, 0, false, true, 1, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			p, site := newFar(c.targets)
			var dialled, closed atomic.Int32
			for i, target := range p.Targets {
				p.Targets[i] = &redialled{far: target.(*far), dialled: &dialled, closed: &closed, refuses: c.refuses, silent: c.silent}
			}
			p.ID, p.Facts.Build = "1", &Release{ID: "1", Commit: site.commit, Outputs: []Output{{Artifact: p.Plan.Artifacts[0], Path: farPath}}}
			p.Facts.Verify = &Verified{Targets: map[string]TargetBefore{}}
			if c.fails {
				site.answers["start.sh"] = `end={"attempt":1,"result":"reverted","text":"x did not stay up"}` + "\n"
			}
			err := Apply(t.Context(), p)
			if (err != nil) != c.fails || dialled.Load() != c.during {
				t.Errorf("%s: the apply ends with %v, %d dials", c.name, err, dialled.Load())
			}
			if err == nil {
				if err := Health(t.Context(), p); err != nil {
					t.Errorf("%s: %v", c.name, err)
				}
			}
			p.Drop()
			if opened := c.dialled - c.refuses; dialled.Load() != c.dialled || closed.Load() != opened {
				t.Errorf("%s: %d dials, %d closed", c.name, dialled.Load(), closed.Load())
			}
		})
	}
}
