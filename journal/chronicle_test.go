package journal

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// A chronicle is a journal of many promotions, record for record as `rel start`
// leaves them: testdata/story.jsonl is one of these. Of each ten, one was given up
// once it was built, and of each fifty one was left where it stopped.
//
// Other tests, and whoever measures, get one from this package's test binary:
//
//	go test -c -o journal.test ./journal
//	REL_JOURNAL_TEST_HELPER=chronicle ./journal.test /tmp/journal.db 100000
func init() {
	helpers["chronicle"] = func(j *Journal, arg string) error {
		n, err := strconv.Atoi(arg)
		if err != nil {
			return err
		}
		story, err := os.ReadFile(filepath.Join("testdata", "story.jsonl"))
		if err != nil {
			return err
		}
		return writeChronicle(j.path, string(story), n)
	}
}

// storyID and storyCommit are what the story's promotion is called by.
const (
	storyID     = "20261123-105925-bbbbbbb"
	storyCommit = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// chronicle is one of n promotions, in memory where that can be.
func chronicle(t testing.TB, n int) *Journal {
	t.Helper()
	story, err := os.ReadFile(filepath.Join("testdata", "story.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	j := New(filepath.Join(inMemory(t), "app", "journal.db"))
	j.Operator = Operator{Name: "ada@laptop", Key: "SHA256:abc"}
	if err := writeChronicle(j.path, string(story), n); err != nil {
		t.Fatal(err)
	}
	return j
}

// writeChronicle appends as [Journal.Append] does, but many promotions to a
// transaction, and syncs nothing.
func writeChronicle(path, story string, n int) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.Update(initialize); err != nil {
		return err
	}
	j, last := New(path), Event{}
	const together = 100
	for from := 0; from < n; from += together {
		err := db.Update(func(tx *bbolt.Tx) (err error) {
			for i := from; i < min(from+together, n) && err == nil; i++ {
				last, err = j.appendStory(tx, story, i, last)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// appendStory appends the promotion of a number, an hour after the one before.
func (j *Journal) appendStory(tx *bbolt.Tx, story string, number int, last Event) (Event, error) {
	opened := someday.UTC().Truncate(time.Second).Add(time.Duration(number) * time.Hour)
	id, commit := chronicleID(number)
	story = strings.NewReplacer(storyID, id, storyCommit, commit, storyCommit[:7], commit[:7]).Replace(story)
	for line := range strings.Lines(story) {
		var ev Event
		if err := json.Unmarshal([]byte(line), &ev); err != nil {
			return last, err
		}
		at := opened.Add(time.Duration(ev.Seq) * time.Second)
		switch {
		case number%10 == 7 && ev.Seq == 13:
			ev = Event{Promotion: id, Kind: Moved, Operator: ev.Operator, From: "built", State: "aborted", Text: "given up"}
		case number%10 == 7 && ev.Seq > 13, number%50 == 49 && ev.Seq > 17:
			continue
		}
		ev.Hash = Hash{}
		j.now = func() time.Time { return at }
		if err := j.append(tx, last, &ev); err != nil {
			return last, err
		}
		last = ev
	}
	return last, nil
}

// chronicleID is what the promotion of a number is called by.
func chronicleID(number int) (id, commit string) {
	commit = strconv.FormatInt(int64(number)+0x10000000, 16)
	commit = strings.Repeat(reverse(commit), 5)
	return someday.UTC().Add(time.Duration(number)*time.Hour).Format("20060102-150405") + "-" + commit[:7], commit
}

func reverse(s string) string {
	b := []byte(s)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}
