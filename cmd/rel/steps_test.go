package main

import (
	"os/exec"
	"testing"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
)

// What is usual is what healthy promotions of the kind took, and no others.
func TestUsual(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("there is no ssh to resolve names with")
	}
	for story, healthy := range map[int]bool{next: true, sick: false} {
		s, stop := newScene(t, cutting{}, story)
		defer stop()
		if code, said, _ := s.rel("start"); (code == exitOK) != healthy {
			t.Fatalf("exit %d: %s", code, said)
		}
		h := &house{journal: journal.New(s.journal)}
		for _, phase := range machine.Forward.Table() {
			if d, known := h.usual(machine.Forward)[phase.Name]; known != healthy || d > time.Minute {
				t.Errorf("%s: %s usually takes %s", stories[story], phase.Name, d)
			}
		}
		if got := h.usual(machine.Rollback); len(got) != 0 {
			t.Errorf("rollbacks usually take %v", got)
		}
	}
	h := &house{journal: journal.New(t.TempDir() + "/none.db")}
	if got := h.usual(machine.Forward); len(got) != 0 {
		t.Errorf("without a journal it is %v", got)
	}
}

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
