package journal

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// helperEnv makes the test binary act as one of the helpers below instead of
// running tests: what another process does to a journal is tested with one.
const helperEnv = "REL_JOURNAL_TEST_HELPER"

// long has the tests that sample their cases in CI go through all of them.
var long = os.Getenv("REL_TEST_LONG") != ""

var helpers = map[string]func(j *Journal, arg string) error{
	"append": appendForever,
	"burst":  appendBurst,
	"claim":  claimForever,
}

func TestMain(m *testing.M) {
	if name := os.Getenv(helperEnv); name != "" {
		j := New(os.Args[1])
		j.Operator = Operator{Name: "helper@elsewhere"}
		if err := helpers[name](j, os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// appendForever acknowledges each event by a line with its number, once Append
// has returned, and goes on until it is killed.
func appendForever(j *Journal, promotion string) error {
	for n := 0; ; n++ {
		ev, err := j.Append(Event{Promotion: promotion, Kind: Note, Text: fmt.Sprint(n)})
		if err != nil {
			return err
		}
		fmt.Println(ev.Seq)
	}
}

const burst = 10

// appendBurst appends a burst once it is told to.
func appendBurst(j *Journal, promotion string) error {
	waitForStdin()
	for n := range burst {
		if _, err := j.Append(Event{Promotion: promotion, Kind: Note, Text: fmt.Sprint(n)}); err != nil {
			return err
		}
	}
	return nil
}

// claimForever holds the claim until its input ends or it is killed.
func claimForever(j *Journal, promotion string) error {
	name, _, err := j.Acquire()
	if err != nil {
		return err
	}
	name(promotion)
	fmt.Println("claimed")
	waitForStdin()
	return nil
}

func waitForStdin() { _, _ = io.Copy(io.Discard, os.Stdin) }

// child is a helper that runs in a process of its own.
type child struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func spawn(t *testing.T, helper string, j *Journal, arg string, how ...func(*exec.Cmd)) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0], j.path, arg)
	// A binary with the race detector takes a second to exit unless told not to.
	cmd.Env = append(os.Environ(), helperEnv+"="+helper, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	for _, how := range how {
		how(cmd)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return &child{Cmd: cmd, in: in, out: bufio.NewScanner(out)}
}

// line is the next line that the child prints; "" when it has ended.
func (c *child) line() string {
	if c.out.Scan() {
		return c.out.Text()
	}
	return ""
}

// someday is a time in a zone of its own and with nanoseconds, which a record
// has neither of.
var someday = time.Date(2026, 11, 22, 19, 32, 29, 123456789, time.FixedZone("here", 3600))

// fresh is a journal without a file, which must be sound when the test ends.
func fresh(t *testing.T) *Journal {
	t.Helper()
	j := New(filepath.Join(t.TempDir(), "app", "journal.db"))
	j.Operator = Operator{Name: "ada@laptop", Key: "SHA256:abc"}
	t.Cleanup(func() { checkSound(t, j.path) })
	return j
}

// broken is a fresh journal of 20 events in three promotions that the test may
// do anything to: it is not checked when the test ends.
func broken(t *testing.T) *Journal {
	t.Helper()
	j := New(filepath.Join(t.TempDir(), "app", "journal.db"))
	j.Operator = Operator{Name: "ada@laptop", Key: "SHA256:abc"}
	fill(t, j, 20)
	return j
}

var promotions = []string{"20261122-183229-aaaaaaa", "20261122-183230-bbbbbbb", "20261122-183231-ccccccc"}

// options are bbolt's, for who looks at a journal behind its back.
func options(readOnly bool) *bbolt.Options {
	return &bbolt.Options{Timeout: openTimeout, ReadOnly: readOnly}
}

// fill appends n events to the promotions in turn.
func fill(t *testing.T, j *Journal, n int) []Event {
	t.Helper()
	var list []Event
	for i := range n {
		list = append(list, mustAppend(t, j, Event{
			Promotion: promotions[i%len(promotions)], Kind: Moved, Phase: "build", Attempt: 1, From: "verified", State: "built",
			Host: "choiros-grind", Text: fmt.Sprintf("event %d of the journal", i), Data: json.RawMessage(`{"build":{"id":"x"}}`),
		}))
	}
	return list
}

func mustAppend(t *testing.T, j *Journal, ev Event) Event {
	t.Helper()
	recorded, err := j.Append(ev)
	if err != nil {
		t.Fatal(err)
	}
	return recorded
}

// checkSound has bbolt and the journal itself look at the file, if there is one.
func checkSound(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: openTimeout})
	if err != nil {
		t.Fatalf("the journal does not open: %v", err)
	}
	defer db.Close()
	err = db.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			t.Errorf("bbolt finds the journal inconsistent: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if _, err := New(path).Verify(); err != nil {
		t.Errorf("the chain is not sound: %v", err)
	}
}

// content is all that a reader gets to see of a journal.
type content struct {
	IDs       []string
	Events    map[string][]Event
	Histories [][]Event
	Head      Head
}

// read reads everything, as `rel log --verify` would.
func read(j *Journal) (content, error) {
	c := content{Events: map[string][]Event{}}
	var errs []error
	keep := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	var err error
	c.IDs, err = j.Promotions()
	keep(err)
	for _, id := range c.IDs {
		c.Events[id], err = j.Events(id)
		keep(err)
	}
	c.Histories, err = j.Histories(0)
	keep(err)
	c.Head, err = j.Verify()
	keep(err)
	return c, errors.Join(errs...)
}

func mustRead(t *testing.T, j *Journal) content {
	t.Helper()
	c, err := read(j)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// all is the events of all promotions in the journal's order.
func (c content) all(t *testing.T) []Event {
	t.Helper()
	list := make([]Event, c.Head.Seq)
	n := 0
	for i, id := range c.IDs {
		equal(t, "history "+id, c.Histories[i], c.Events[id])
		for _, ev := range c.Events[id] {
			list[ev.Seq-1] = ev
			n++
		}
	}
	if n != len(list) {
		t.Fatalf("the promotions have %d events, the chain has %d", n, len(list))
	}
	return list
}

func mustReadFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustWriteFile(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// edit changes the database behind the journal's back.
func edit(t *testing.T, path string, fn func(tx *bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: openTimeout})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(fn), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}
