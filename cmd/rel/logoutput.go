package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
)

// output prints what the hosts printed in an attempt at a phase, as it was kept: safe to
// show.
func (c *logCmd) output(h *house, past *machine.Past) error {
	attempts := past.Attempts(c.Output)
	if attempts == 0 {
		return &usageError{fmt.Sprintf("promotion %s has no %s phase that was begun; it has %s", past.ID, c.Output, begun(past))}
	}
	attempt := c.Attempt
	if attempt == 0 {
		attempt = attempts
	}
	if attempt < 1 || attempt > attempts {
		return &usageError{fmt.Sprintf("promotion %s has no attempt %d at %s; it has %s", past.ID, attempt, c.Output, begun(past))}
	}
	path := h.journal.OutputPath(past.ID, c.Output, attempt)
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(h.std.err, "nothing was printed in attempt %d at %s, or it is kept no more: %s\n", attempt, c.Output, path)
		return nil
	} else if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(h.std.out, file)
	return err
}

// begun lists the phases that a promotion has begun, in order.
func begun(past *machine.Past) string {
	var list []string
	table := past.Start.Kind.Table()
	for i := range table {
		if n := past.Attempts(table[i].Name); n > 0 {
			list = append(list, fmt.Sprintf("%s (%s)", table[i].Name, phases.CountText(n, "attempt")))
		}
	}
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}
