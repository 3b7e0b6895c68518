package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"choir.chat/rel/cmd/rel/nearest"
	"choir.chat/rel/phases"
)

// Name is what the file is called that is looked for.
const Name = "rel.toml"

// find is the file named by the operator, or the nearest rel.toml.
func find(name string) (string, error) {
	if name != "" {
		return filepath.Abs(name)
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for from := dir; ; dir = filepath.Dir(dir) {
		path := filepath.Join(dir, Name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
		if dir == filepath.Dir(dir) {
			return "", &Error{Path: Name, None: true, Text: fmt.Sprintf(
				"there is none in %s or above; rel init writes one, and --config or REL_CONFIG names another", from)}
		}
	}
}

// Read reads and validates the file of that name or, without one, the nearest rel.toml in the
// working folder and above. What is wrong with it is an [*Error], or several that are joined.
func Read(name string) (*File, error) {
	path, err := find(name)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{Path: path, Text: "there is no such file"}
	} else if err != nil {
		return nil, &Error{Path: path, Text: err.Error()}
	}
	f, err := Parse(path, text)
	if err != nil {
		return nil, err
	}
	return f, f.Validate()
}

// Parse reads a text, which is called path in what is said of it, and does not validate it.
// It also returns what it read of one with unknown keys, of which the rest can be looked at.
func Parse(path string, text []byte) (*File, error) {
	f := &File{
		path: path, places: readPlaces(text), Branch: "main", OnUnhealthy: "revert", Keep: 5, Copy: Copy{Via: "auto"},
		Confirm: phases.Duration(2 * time.Minute), Services: Services{Settle: phases.Duration(defaultSettle)},
	}
	decoder := toml.NewDecoder(strings.NewReader(string(text)))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(f)
	var unknown *toml.StrictMissingError
	var wrong *toml.DecodeError
	switch {
	case errors.As(err, &unknown):
		err = unknownKeys(path, unknown)
	case errors.As(err, &wrong):
		line, column := wrong.Position()
		return nil, &Error{Path: path, Line: line, Column: column, Text: decodeText(wrong)}
	case err != nil:
		return nil, &Error{Path: path, Text: err.Error()}
	}
	if f.Manifest == "" {
		f.Manifest = "/tmp/" + f.App + "-release.env"
	}
	return f, err
}

func unknownKeys(path string, unknown *toml.StrictMissingError) error {
	var list []error
	for i := range unknown.Errors {
		e := &unknown.Errors[i]
		line, column := e.Position()
		key := e.Key()
		text := fmt.Sprintf("unknown key %q", strings.Join(key, "."))
		if near := nearest.Word(key[len(key)-1], knownKeys(key[:len(key)-1])); near != "" {
			text += fmt.Sprintf("; did you mean %q?", near)
		}
		list = append(list, &Error{Path: path, Line: line, Column: column, Text: text})
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
	t := reflect.TypeFor[File]()
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
