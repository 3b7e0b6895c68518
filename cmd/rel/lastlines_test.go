package main

import (
	"errors"
	"slices"
	"testing"

	"choir.chat/rel/machine"
)

// Of several hosts each line says whose it is, also where all that are left are of one; of
// one that is known.
func TestLastLines(t *testing.T) {
	var l lastLines
	l.add("web1", "a", 2)
	l.add("web1", "b", 2)
	if got, want := l.texts(), []string{"a", "b"}; !slices.Equal(got, want) {
		t.Errorf("of one host: %q, want %q", got, want)
	}
	l.add("web2", "c", 2)
	l.add("web2", "d", 2)
	if got, want := l.texts(), []string{"web2: c", "web2: d"}; !slices.Equal(got, want) {
		t.Errorf("of two hosts: %q, want %q", got, want)
	}
	h := &house{outputs: new(outputs)}
	h.outputs.line("p", "web1", "panic")
	h.outputs.line("p", "web2", "panic")
	failed := &machine.PhaseError{Phase: "apply", Err: errors.New("x")}
	if got, want := h.lastOutput(failed, explanation{code: exitReverted}), []string{"web1: panic", "web2: panic"}; !slices.Equal(got, want) {
		t.Errorf("a failure repeats %q, want %q", got, want)
	}
}
