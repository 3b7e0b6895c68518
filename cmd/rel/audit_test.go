package main

import (
	"os"
	"strings"
	"testing"

	"choir.chat/rel/remote/lab"
)

// TestAudit: a journal that was cut short, or that is another's, is sound in
// itself. The targets' ledgers tell.
func TestAudit(t *testing.T) {
	w := newWorld(t, 2)
	w.must(exitOK, "start")
	w.must(exitOK, "log", "--verify").mentions(t, "all sound", "choiros-prod: its ledger agrees", "choiros-prod-2: its ledger agrees")
	before, err := os.ReadFile(w.journal)
	if err != nil {
		t.Fatal(err)
	}
	w.bump(lab.Bump{})
	w.must(exitOK, "start")
	w.must(exitOK, "log", "--verify")
	if err := os.WriteFile(w.journal, before, 0o600); err != nil {
		t.Fatal(err)
	}
	o := w.must(exitDamaged, "log", "--verify")
	o.mentions(t, "\nnext: ", "\nlog: ", "all sound", " is missing: the journal ends with record ", "choiros-prod")

	other := w.elsewhere()
	other.must(exitOK, "start", "--force")
	other.must(exitOK, "log", "--verify").mentions(t, "its ledger agrees: ")
	// Rolled back to nothing, the journal is another's as far as anyone can tell.
	third := w.elsewhere()
	third.must(exitOK, "log", "--verify").mentions(t, "0 records", "knows nothing of this journal")

	if err := w.Stop(t.Context(), "choiros-prod-2"); err != nil {
		t.Fatal(err)
	}
	o = other.must(exitUnreachable, "log", "--verify")
	o.mentions(t, "all sound", "choiros-prod: its ledger agrees")
	if strings.Contains(o.out, "choiros-prod-2") {
		t.Error("it is said of a target that is off that it agrees")
	}
}
