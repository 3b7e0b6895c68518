package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"choir.chat/rel/remote"
)

// TestNameIsLookedForAgain: a laptop without a network finds no names. One that it found
// before is looked for again; one that it never found is misspelt.
func TestNameIsLookedForAgain(t *testing.T) {
	pause := firstPause
	firstPause = time.Millisecond
	t.Cleanup(func() { firstPause = pause })
	config := filepath.Join(t.TempDir(), "ssh_config")
	if err := os.WriteFile(config, []byte("Host prod\n    HostName prod.invalid\n    UserKnownHostsFile /dev/null\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, again := range []bool{false, true} {
		tries := 1
		h := &host{name: "prod", dialer: &remote.Dialer{ConfigFile: config}, again: again, dialling: make(chan struct{}, 1), say: func(string) { tries++ }}
		if _, err := h.connect(t.Context()); err == nil || tries != map[bool]int{false: 1, true: firstDials}[again] {
			t.Errorf("again %v: %d tries, %v", again, tries, err)
		}
	}
}
