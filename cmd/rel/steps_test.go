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
