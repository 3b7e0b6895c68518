package config

import (
	"fmt"
	"path"
)

// complaints gathers all that is wrong, so that one run of rel shows it all.
type complaints struct {
	path   string
	places places
	list   []error
}

// add complains of what stands at a key.
func (c *complaints) add(at, format string, args ...any) {
	where := c.places.of(at)
	c.list = append(c.list, &Error{Path: c.path, Line: where.line, Column: where.column, Text: fmt.Sprintf(format, args...)})
}

// match wants the value at a key, which it calls by name, to be of a form.
func (c *complaints) match(at, name, value string, form *Form) {
	switch {
	case value == "":
		c.add(at, "%s is missing", name)
	case !form.Fits(value):
		c.add(at, "%s = %q is not %s", name, value, form.Words)
	}
}

// absolute wants a clean absolute path.
func (c *complaints) absolute(at, name, value string) {
	if c.match(at, name, value, HostPath); value != "" && path.Clean(value) != value {
		c.add(at, "%s = %q is not an absolute path in its shortest form", name, value)
	}
}
