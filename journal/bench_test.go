package journal

import (
	"os"
	"strconv"
	"testing"
)

// Each is done with a small journal and with one a hundred times as large, or, with
// REL_TEST_LONG, ten times that: what is to stay as it is over the years is seen to.
func bench(b *testing.B, fn func(b *testing.B, j *Journal, n int)) {
	b.Helper()
	sizes := []int{100, 10_000}
	if long {
		sizes = append(sizes, 100_000)
	}
	for _, n := range sizes {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			j := chronicle(b, n)
			before := j.reads.Load()
			b.ResetTimer()
			fn(b, j, n)
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
