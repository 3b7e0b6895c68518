package phases

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A bug that only one host brings out is that host's failure: the others are
// finished, and the process lives to record it.
func TestEachSurvivesAPanic(t *testing.T) {
	hosts := []Host{&local{name: "a"}, &local{name: "b"}, &local{name: "c"}}
	refused := errors.New("c: refused")
	var ran atomic.Int32
	err := each(context.Background(), hosts, func(_ context.Context, i int, _ Host) error {
		ran.Add(1)
		switch i {
		case 1:
			_ = []string{}[i]
		case 2:
			return refused
		}
		return nil
	})
	if ran.Load() != 3 {
		t.Errorf("%d of 3 hosts had their turn", ran.Load())
	}
	var several HostErrors
	if !errors.As(err, &several) || len(several) != 2 || !errors.Is(err, refused) {
		t.Fatalf("got %v, want the failures of b and c", err)
	}
	text := several[0].Error()
	for _, word := range []string{"b: panic: runtime error: index out of range [1] with length 0\n", "TestEachSurvivesAPanic", "host_test.go:"} {
		if !strings.Contains(text, word) {
			t.Errorf("%q is not in %q", word, text)
		}
	}
	if strings.Contains(text, "runtime.") || strings.Count(text, "\n") > 8 {
		t.Errorf("the stack is not a short one: %q", text)
	}
}

// jammed is a host whose new connections run into a bug.
type jammed struct{ local }

func (j *jammed) Loan(context.Context, string) (Loan, error) { panic("no network") }

func (j *jammed) Uplink(context.Context, bool) (time.Duration, float64) { return 0, 0 }
func (j *jammed) Redial(context.Context) (Connection, error)            { panic("no network") }
