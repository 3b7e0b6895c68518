package journal

import (
	"os"
	"testing"
)

// Each is done with a small journal and with one a hundred times as large: what is
// to stay as it is over the years is seen to.
func bench(b *testing.B, fn func(b *testing.B, j *Journal, n int)) {
	b.Helper()
	for _, size := range []struct {
		name string
		n    int
	}{{"100", 100}, {"10000", 10000}} {
		b.Run(size.name, func(b *testing.B) {
			j := chronicle(b, size.n)
			before := j.reads.Load()
			b.ResetTimer()
			fn(b, j, size.n)
			b.ReportMetric(float64(j.reads.Load()-before)/float64(b.N), "pages/op")
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	bench(b, func(b *testing.B, j *Journal, _ int) {
		for b.Loop() {
			if _, err := j.Append(Event{Promotion: "99991231-235959-p", Kind: Note}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// The last twenty promotions are what `rel log` shows.
func BenchmarkHistories(b *testing.B) {
	bench(b, func(b *testing.B, j *Journal, _ int) {
		for b.Loop() {
			if lists, err := j.Histories(20); err != nil || len(lists) != 20 {
				b.Fatal(len(lists), err)
			}
		}
	})
}

func BenchmarkPromotions(b *testing.B) {
	bench(b, func(b *testing.B, j *Journal, n int) {
		for b.Loop() {
			if ids, err := j.Promotions(); err != nil || len(ids) != n {
				b.Fatal(len(ids), err)
			}
		}
	})
}

func BenchmarkWalk(b *testing.B) {
	bench(b, func(b *testing.B, j *Journal, _ int) {
		for b.Loop() {
			j.whole.Store(nil)
			_ = os.Remove(j.wholePath())
			if _, err := j.Append(Event{Promotion: "99991231-235959-p", Kind: Note}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	bench(b, func(b *testing.B, j *Journal, _ int) {
		for b.Loop() {
			if _, err := j.Verify(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
