package config

import (
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"choir.chat/rel/phases"
)

// Setting is a value of the configuration, and where it comes from. Key is its path,
// as in target[0].host; From is "file", then Line and Column say where, or "default".
type Setting struct {
	Key    string `json:"key"`
	Value  any    `json:"value"`
	From   string `json:"from"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

// Settings are all values that a promotion would be started with, in the order of
// rel.toml. What can be left out, and is, has none.
func (f *File) Settings() ([]Setting, error) {
	whole, err := f.effective()
	if err != nil {
		return nil, err
	}
	l := &lister{config: f}
	l.table("", reflect.ValueOf(*whole))
	return l.list, nil
}

// effective is a configuration that leaves nothing to a default, and means the same.
func (f *File) effective() (*File, error) {
	whole := *f
	build := pick(f.Build.Repo, f.Repo)
	whole.Build.Repo = &build
	whole.Target = slices.Clone(f.Target)
	for i := range whole.Target {
		t := &whole.Target[i]
		repo := pick(t.Repo, f.Repo)
		name, command, password := f.RootOf(t)
		t.Repo = &repo
		for to, value := range map[**string]string{&t.Become: name, &t.BecomeCommand: command, &t.BecomePassword: password} {
			if value != "" {
				*to = &value
			}
		}
	}
	whole.Check = slices.Clone(f.Check)
	for i := range whole.Check {
		k := &whole.Check[i]
		check, err := k.plan(filepath.Dir(f.path))
		if err != nil {
			return nil, &Error{Path: f.path, Text: fmt.Sprintf("check %q: %v", k.Name, err)}
		}
		k.From, k.Status, k.Successes = check.From, check.Status, check.Successes
		k.StartPeriod, k.Interval, k.Timeout, k.Deadline = &check.StartPeriod, &check.Interval, &check.Timeout, &check.Deadline
		if k.CA != "" && !filepath.IsAbs(k.CA) {
			k.CA = filepath.Join(filepath.Dir(f.path), k.CA)
		}
	}
	for _, phase := range phases.Forward {
		limit := whole.Limit.of(phase.Name)
		otherwise(&limit.Deadline, phase.Deadline)
		otherwise(&limit.Silence, phase.Silence)
	}
	return &whole, nil
}

// of is the limit of a phase.
func (l *Limits) of(phase string) *Limit {
	return map[string]*Limit{"sync": &l.Sync, "verify": &l.Verify, "build": &l.Build,
		"copy": &l.Copy, "apply": &l.Apply, "health": &l.Health}[phase]
}

// otherwise sets what is not set; no time at all is no limit.
func otherwise(to **phases.Duration, by time.Duration) {
	if *to == nil && by > 0 {
		d := phases.Duration(by)
		*to = &d
	}
}

// lister goes through an effective configuration.
type lister struct {
	config *File
	list   []Setting
}

// table lists the values of a table before the tables in it, as TOML wants them.
func (l *lister) table(path string, table reflect.Value) {
	type inner struct {
		path  string
		value reflect.Value
	}
	var tables []inner
	for i := range table.NumField() {
		key := table.Type().Field(i).Tag.Get("toml")
		if key == "" {
			continue
		}
		at, value := join(path, key), table.Field(i)
		if value.Kind() == reflect.Pointer && !value.IsNil() {
			value = value.Elem()
		}
		switch {
		case value.Kind() == reflect.Struct:
			tables = append(tables, inner{at, value})
		case value.Kind() == reflect.Slice && value.Type().Elem().Kind() == reflect.Struct:
			for j := range value.Len() {
				tables = append(tables, inner{fmt.Sprintf("%s[%d]", at, j), value.Index(j)})
			}
		default:
			l.value(at, value, table.Field(i).Kind() == reflect.Pointer)
		}
	}
	for _, t := range tables {
		l.table(t.path, t.value)
	}
}

// value lists a value that is there, or could not be left out.
func (l *lister) value(path string, value reflect.Value, optional bool) {
	at, set := l.config.places[l.source(path)]
	if !set && value.IsZero() && (!optional || value.Kind() == reflect.Pointer) {
		return
	}
	s := Setting{Key: path, Value: value.Interface(), From: "default"}
	if set {
		s.From, s.Line, s.Column = "file", at.line, at.column
	}
	l.list = append(l.list, s)
}

// source is the key that has settled the value at a path: a host's own, or the one for
// every host.
func (l *lister) source(path string) string {
	table, key, nested := cutLast(path)
	if _, own := l.config.places[path]; own || !nested {
		return path
	}
	switch general := key; {
	case table == "build" && key == "repo", strings.HasPrefix(table, "target[") && slices.Contains(generalKeys, key):
		return general
	}
	return path
}

// generalKeys are those of every target that one of them can have for itself.
var generalKeys = []string{"repo", "become", "become_command", "become_password"}

func cutLast(path string) (table, key string, nested bool) {
	i := strings.LastIndexByte(path, '.')
	if i < 0 {
		return "", path, false
	}
	return path[:i], path[i+1:], true
}

// WriteSettings prints a rel.toml that means the same, with the origin of each value
// beside it. File is what the one that was read is called.
func WriteSettings(out io.Writer, file string, settings []Setting) error {
	for len(settings) > 0 {
		table, _, _ := cutLast(settings[0].Key)
		n, width := 0, 0
		for n < len(settings) {
			in, key, _ := cutLast(settings[n].Key)
			if in != table {
				break
			}
			// One long value does not push the origins of all others off the screen.
			if long := len(key) + len(TOMLValue(settings[n].Value)); long <= 56 {
				width = max(width, long)
			}
			n++
		}
		if _, err := fmt.Fprintln(out, header(table)); err != nil {
			return err
		}
		for _, s := range settings[:n] {
			_, key, _ := cutLast(s.Key)
			value := TOMLValue(s.Value)
			fmt.Fprintf(out, "%s = %s%*s  %s\n", key, value, max(0, width-len(key)-len(value)), "", s.origin(file))
		}
		settings = settings[n:]
	}
	return nil
}

// header opens a table, after a blank line.
func header(table string) string {
	if name, _, many := strings.Cut(table, "["); many {
		return "\n[[" + name + "]]"
	} else if table != "" {
		return "\n[" + table + "]"
	}
	return ""
}

func (s *Setting) origin(file string) string {
	if s.From == "file" {
		return TOMLComment(fmt.Sprintf("%s:%d", file, s.Line))
	}
	return "# " + s.From
}
