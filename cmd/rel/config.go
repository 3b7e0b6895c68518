package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"choir.chat/rel/phases"
)

// config is rel.toml. It stays in this package: what goes down into the house
// is the plan that it is translated to.
type config struct {
	App         string          `toml:"app"`
	Branch      string          `toml:"branch"`
	Repo        string          `toml:"repo"`
	Manifest    string          `toml:"manifest"`
	Confirm     phases.Duration `toml:"confirm"`
	OnUnhealthy string          `toml:"on_unhealthy"`
	Keep        int             `toml:"keep"`
	Become      string          `toml:"become"`
	// BecomePassword and BecomeCommand go with Become.
	BecomePassword string         `toml:"become_password"`
	BecomeCommand  string         `toml:"become_command"`
	Build          buildConfig    `toml:"build"`
	Target         []targetConfig `toml:"target"`
	Artifact       []artifact     `toml:"artifact"`
	Services       services       `toml:"services"`
	Check          []checkConfig  `toml:"check"`
	Copy           copyConfig     `toml:"copy"`
	Limit          limitsConfig   `toml:"limit"`

	// path is the file it was read from, and places where its keys stand in it.
	path   string
	places places
}

type buildConfig struct {
	Host string  `toml:"host"`
	Repo *string `toml:"repo"`
}

type targetConfig struct {
	Host string  `toml:"host"`
	Repo *string `toml:"repo"`
	// FromBuild is how the build host reaches the target.
	FromBuild string `toml:"from_build"`
	// Become is how the login user of this target becomes root.
	Become         *string `toml:"become"`
	BecomePassword *string `toml:"become_password"`
	BecomeCommand  *string `toml:"become_command"`
}

type artifact struct {
	Name   string `toml:"name"`
	Flake  string `toml:"flake"`
	Binary string `toml:"binary"`
	Link   string `toml:"link"`
}

type services struct {
	Restart []string        `toml:"restart"`
	Settle  phases.Duration `toml:"settle"`
}

type copyConfig struct {
	// Via is "auto", or one of the ways of phases.
	Via string `toml:"via"`
	// Cache is the URL of the binary cache for via = "cache".
	Cache string `toml:"cache"`
}

// limitsConfig bounds the phases, by their names.
type limitsConfig struct {
	Sync   limitConfig `toml:"sync"`
	Verify limitConfig `toml:"verify"`
	Build  limitConfig `toml:"build"`
	Copy   limitConfig `toml:"copy"`
	Apply  limitConfig `toml:"apply"`
	Health limitConfig `toml:"health"`
}

type limitConfig struct {
	Deadline *phases.Duration `toml:"deadline"`
	Silence  *phases.Duration `toml:"silence"`
}

// limits are those that the file sets, by phase.
func (l *limitsConfig) limits() map[string]limitConfig {
	all := map[string]limitConfig{"sync": l.Sync, "verify": l.Verify, "build": l.Build,
		"copy": l.Copy, "apply": l.Apply, "health": l.Health}
	maps.DeleteFunc(all, func(_ string, limit limitConfig) bool { return limit == limitConfig{} })
	return all
}

type checkConfig struct {
	Name        string           `toml:"name"`
	From        string           `toml:"from"`
	URL         string           `toml:"url"`
	AnyOf       []string         `toml:"any_of"`
	Status      int              `toml:"status"`
	Body        string           `toml:"body"`
	Location    string           `toml:"location"`
	Header      string           `toml:"header"`
	Resolve     string           `toml:"resolve"`
	Insecure    bool             `toml:"insecure"`
	CA          string           `toml:"ca"`
	StartPeriod *phases.Duration `toml:"start_period"`
	Interval    *phases.Duration `toml:"interval"`
	Timeout     *phases.Duration `toml:"timeout"`
	Successes   int              `toml:"successes"`
	Deadline    *phases.Duration `toml:"deadline"`
}

// defaultSettle is long enough for a process that dies three seconds after its start
// to have died, and been restarted by systemd, whose RestartSec is 100 ms unless set.
const defaultSettle = 4 * time.Second

// configName is the file that is looked for.
const configName = "rel.toml"

// configError is one thing that is wrong with the configuration.
type configError struct {
	// Path is the file; Line and Column are 1-based, 0 where unknown.
	Path         string
	Line, Column int
	Text         string
	// None says that no file was found.
	None bool
}

func (e *configError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.Path, e.Text)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.Path, e.Line, e.Column, e.Text)
}

// findConfig is the file named by the operator, or the nearest rel.toml.
func findConfig(name string) (string, error) {
	if name != "" {
		return filepath.Abs(name)
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for from := dir; ; dir = filepath.Dir(dir) {
		path := filepath.Join(dir, configName)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
		if dir == filepath.Dir(dir) {
			return "", &configError{Path: configName, None: true, Text: fmt.Sprintf(
				"there is none in %s or above; rel init writes one, and --config or REL_CONFIG names another", from)}
		}
	}
}

// readConfig reads and validates the configuration.
func readConfig(name string) (*config, error) {
	path, err := findConfig(name)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &configError{Path: path, Text: "there is no such file"}
	} else if err != nil {
		return nil, &configError{Path: path, Text: err.Error()}
	}
	c, err := parseConfig(path, text)
	if err != nil {
		return nil, err
	}
	return c, c.validate()
}

// parseConfig also returns what it read of a file with unknown keys, of which the rest
// can be looked at.
func parseConfig(path string, text []byte) (*config, error) {
	c := &config{
		path: path, places: readPlaces(text), Branch: "main", OnUnhealthy: "revert", Keep: 5, Copy: copyConfig{Via: "auto"},
		Confirm: phases.Duration(2 * time.Minute), Services: services{Settle: phases.Duration(defaultSettle)},
	}
	decoder := toml.NewDecoder(strings.NewReader(string(text)))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(c)
	var unknown *toml.StrictMissingError
	var wrong *toml.DecodeError
	switch {
	case errors.As(err, &unknown):
		err = unknownKeys(path, unknown)
	case errors.As(err, &wrong):
		line, column := wrong.Position()
		return nil, &configError{Path: path, Line: line, Column: column, Text: decodeText(wrong)}
	case err != nil:
		return nil, &configError{Path: path, Text: err.Error()}
	}
	if c.Manifest == "" {
		c.Manifest = "/tmp/" + c.App + "-release.env"
	}
	return c, err
}

func unknownKeys(path string, unknown *toml.StrictMissingError) error {
	var list []error
	for i := range unknown.Errors {
		e := &unknown.Errors[i]
		line, column := e.Position()
		key := e.Key()
		text := fmt.Sprintf("unknown key %q", strings.Join(key, "."))
		if near := nearest(key[len(key)-1], knownKeys(key[:len(key)-1])); near != "" {
			text += fmt.Sprintf("; did you mean %q?", near)
		}
		list = append(list, &configError{Path: path, Line: line, Column: column, Text: text})
	}
	return errors.Join(list...)
}

// decodeText is the library's message in the file's terms: its own names Go's
// types, which mean nothing to who wrote the file.
func decodeText(e *toml.DecodeError) string {
	key := strings.Join(e.Key(), ".")
	text := strings.TrimPrefix(e.Error(), "toml: ")
	if strings.Contains(text, "cannot decode") {
		text = "is not of the kind that is wanted here"
	}
	if key == "" {
		return text
	}
	return fmt.Sprintf("%s: %s", key, text)
}

// knownKeys are the keys of the table at the path.
func knownKeys(path []string) []string {
	t := reflect.TypeFor[config]()
	for _, key := range path {
		field, ok := fieldOf(t, key)
		if !ok {
			return nil
		}
		if t = field.Type; t.Kind() == reflect.Slice {
			t = t.Elem()
		}
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	var names []string
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("toml"); name != "" {
			names = append(names, name)
		}
	}
	return names
}

func fieldOf(t reflect.Type, key string) (reflect.StructField, bool) {
	if t.Kind() != reflect.Struct {
		return reflect.StructField{}, false
	}
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("toml") == key {
			return t.Field(i), true
		}
	}
	return reflect.StructField{}, false
}

// nearest is the name that differs from word by the fewest letters; none if
// more than a third of them differ.
func nearest(word string, names []string) string {
	best, least := "", len(word)/3+1
	for _, name := range names {
		if d := distance(word, name); d <= least && (best == "" || d < distance(word, best)) {
			best = name
		}
	}
	return best
}

// distance is Levenshtein's: the letters to insert, delete or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
