package journal

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// big is a journal of about ten megabytes: some four hundred promotions.
func big(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal.db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	j := New(path)
	j.Operator = Operator{Name: "ada@laptop", Key: "SHA256:abc"}
	if err := db.Update(initialize); err != nil {
		t.Fatal(err)
	}
	for n := range 400 {
		err := db.Update(func(tx *bbolt.Tx) error {
			for i := range 45 {
				ev := Event{
					Promotion: someday.Add(time.Duration(n)*time.Minute).UTC().Format("20060102-150405") + "-aaaaaaa", Kind: Note, Phase: "build", Attempt: 1,
					Text: fmt.Sprint("event ", i), Data: json.RawMessage(`{"build":{"id":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","path":"/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-server"}}`),
				}
				if err := j.append(tx, &ev); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func BenchmarkPages(b *testing.B) {
	file, err := os.Open(big(b))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		p, err := readPages(file, info.Size())
		if err == nil {
			err = p.check()
		}
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(p.high*p.pageSize), "bytes")
	}
}

func BenchmarkAppend(b *testing.B) {
	j := New(big(b))
	for b.Loop() {
		if _, err := j.Append(Event{Promotion: "p", Kind: Note}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	j := New(big(b))
	for b.Loop() {
		if _, err := j.Verify(); err != nil {
			b.Fatal(err)
		}
	}
}
