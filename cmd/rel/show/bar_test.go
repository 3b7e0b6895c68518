package show

import (
	"testing"
	"time"
)

func TestProgressText(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "1s", 300 * time.Millisecond: "1s", 12300 * time.Millisecond: "12s", 75 * time.Second: "1m20s", 60 * time.Second: "1m",
		61 * time.Minute: "1h1m", 2 * time.Hour: "2h0m",
	} {
		if got := roundly(d); got != want {
			t.Errorf("%s is %s, want %s", d, got, want)
		}
	}
	for done, want := range map[int64]string{0: "[>         ]", 5: "[=====>    ]", 10: "[==========]"} {
		if got := bar(done, 10, 12); got != want {
			t.Errorf("%d of 10 is %s, want %s", done, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 5 << 40: "5.0 TiB"} {
		if got := sizeText(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
}
