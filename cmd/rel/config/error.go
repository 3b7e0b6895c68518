package config

import (
	"errors"
	"fmt"
	"slices"
)

// Error is one thing that is wrong with the configuration.
type Error struct {
	// Path is the file; Line and Column are 1-based, 0 where unknown.
	Path         string
	Line, Column int
	Text         string
	// None says that no file was found.
	None bool
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.Path, e.Text)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.Path, e.Line, e.Column, e.Text)
}

// Errors are the errors that were joined into one, in the order of the file.
func Errors(path string, err error) (list []*Error) {
	if err == nil {
		return nil
	}
	var several interface{ Unwrap() []error }
	var wrong *Error
	switch {
	case errors.As(err, &several):
		for _, one := range several.Unwrap() {
			list = append(list, Errors(path, one)...)
		}
	case errors.As(err, &wrong):
		list = append(list, wrong)
	default:
		list = append(list, &Error{Path: path, Text: err.Error()})
	}
	slices.SortStableFunc(list, func(a, b *Error) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return list
}
