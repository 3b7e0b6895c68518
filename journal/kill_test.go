package journal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A rel that is killed at any instant loses nothing that Append acknowledged,
// leaves at most the one event more that it was at, and locks nobody out.
func TestKilledWriterLosesNothing(t *testing.T) {
	t.Parallel()
	rounds := 20
	if testing.Short() {
		rounds = 5
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	j := fresh(t)
	var acknowledged int64
	for round := range rounds {
		id := fmt.Sprintf("p%02d", round)
		writer := spawn(t, "append", j, id)
		// The instant is counted from the first acknowledgement, but for the
		// first rounds: those may hit the making of the file.
		if round > 2 {
			acknowledged = parse(t, writer.line(), acknowledged)
		}
		time.AfterFunc(time.Duration(random.IntN(20_000))*time.Microsecond, func() { _ = writer.Process.Kill() })
		first := acknowledged
		for line := writer.line(); line != ""; line = writer.line() {
			acknowledged = parse(t, line, acknowledged)
		}
		if err := writer.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("round %d: the writer was not killed: %v", round, err)
		}

		got := mustRead(t, j)
		if got.Head.Seq < acknowledged || got.Head.Seq > acknowledged+1 {
			t.Fatalf("round %d (after %d): %d events were acknowledged, %d are there", round, first, acknowledged, got.Head.Seq)
		}
		for n, ev := range got.Events[id] {
			if ev.Text != fmt.Sprint(n) {
				t.Errorf("round %d: event %d is %q", round, n, ev.Text)
			}
		}
		got.all(t) // the index has neither more nor less than the chain
		acknowledged = got.Head.Seq
	}
	if acknowledged < int64(rounds) {
		t.Errorf("only %d events in %d rounds: the writers were killed too early to tell", acknowledged, rounds)
	}
}

// parse reads an acknowledgement, which follows the one before.
func parse(t *testing.T, line string, before int64) int64 {
	t.Helper()
	seq, err := strconv.ParseInt(line, 10, 64)
	if err != nil || seq != before+1 {
		t.Fatalf("after event %d the writer says %q", before, line)
	}
	return seq
}

// A half-made first file lies under another name: it is never taken for the
// journal, nor does it stand in the way of one.
func TestKilledBeforeTheFirstEvent(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	mustWriteFile(t, j.path+".1.new", noise(100))
	if _, err := j.Verify(); err != nil {
		t.Errorf("reading: %v", err)
	}
	if _, err := os.Stat(j.path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a journal: %v", err)
	}
	if ev := mustAppend(t, j, Event{Promotion: "p", Kind: Note}); ev.Seq != 1 {
		t.Errorf("the first event has number %d", ev.Seq)
	}
}

// A backup that was cut before it had its name is none: it may not be on the
// disk in whole.
func TestKilledInABackup(t *testing.T) {
	t.Parallel()
	j, backups := backedUp(t, 2)
	cut := filepath.Join(filepath.Dir(backups[0]), "20991231-235959.000.db.new")
	mustWriteFile(t, cut, mustReadFile(t, backups[1]))
	mustWriteFile(t, j.path, []byte("not a journal"))
	var damaged *DamagedError
	if _, err := j.Verify(); !errors.As(err, &damaged) || damaged.Backup != backups[1] {
		t.Errorf("got %T (%+v), want a *DamagedError naming %s", err, err, backups[1])
	}
}
