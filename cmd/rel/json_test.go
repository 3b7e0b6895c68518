package main

import (
	"bytes"
	"encoding"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
)

// documented are the parts of doc/json.md, by heading, and what they are about.
var documented = map[string]reflect.Type{
	"`rel log --json`":    reflect.TypeFor[promotionJSON](),
	"`rel log ID --json`": reflect.TypeFor[eventJSON](),
	"`rel status --json`": reflect.TypeFor[statusJSON](),
	"`rel plan --json`":   reflect.TypeFor[previewed](),
	"`rel doctor --json`": reflect.TypeFor[findingsJSON](),
	"Data of `opened`":    reflect.TypeFor[machine.Start](),
	"Plan":                reflect.TypeFor[phases.Plan](),
	"Release":             reflect.TypeFor[phases.Release](),
	"Data of `moved`, `failed` and `interrupted`": reflect.TypeFor[phases.Facts](),
	"Data of `left`": reflect.TypeFor[machine.Ending](),
}

// fieldsOf adds the names of all fields to names, by their way from the document on: a
// list is [], a map *. What has a part of its own is told there.
func fieldsOf(t reflect.Type, way string, names map[string]bool) {
	text := reflect.TypeFor[encoding.TextMarshaler]()
	whole := reflect.TypeFor[json.Marshaler]()
	switch {
	case t.Implements(text) || t.Implements(whole) || way != "" && slices.Contains(slices.Collect(maps.Values(documented)), t):
		return
	case t.Kind() == reflect.Pointer:
		fieldsOf(t.Elem(), way, names)
	case t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8:
		fieldsOf(t.Elem(), way+"[]", names)
	case t.Kind() == reflect.Map:
		fieldsOf(t.Elem(), way+".*", names)
	case t.Kind() == reflect.Struct:
		for f := range t.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			switch {
			case f.Anonymous && name == "":
				fieldsOf(f.Type, way, names)
			case f.IsExported() && name != "-":
				names[strings.TrimPrefix(way+"."+name, ".")] = true
				// What was sent ahead is told as the rest is.
				if f.Type.Kind() != reflect.Slice || f.Type.Elem() != t {
					fieldsOf(f.Type, way+"."+name, names)
				}
			}
		}
	}
}

var (
	documentedField = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")
	jsonExample     = regexp.MustCompile("(?s)```json\n(.*?)```")
)

// TestJSONIsDocumented: doc/json.md has every field that is printed and no other, and its
// examples are what is printed.
func TestJSONIsDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("doc", "json.md"))
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(string(text), "\n## ") {
		heading, body, _ := strings.Cut(part, "\n")
		parts[heading] = body
	}
	for heading, about := range documented {
		body, ok := parts[heading]
		if !ok {
			t.Errorf("there is no part %q", heading)
		}
		want, got := map[string]bool{}, map[string]bool{}
		fieldsOf(about, "", want)
		for _, field := range documentedField.FindAllStringSubmatch(body, -1) {
			got[field[1]] = true
		}
		for name := range want {
			if !got[name] {
				t.Errorf("%s: %q is not documented", heading, name)
			}
		}
		for name := range got {
			if !want[name] {
				t.Errorf("%s: %q is documented, and is not there", heading, name)
			}
		}
		examples := jsonExample.FindAllStringSubmatch(body, -1)
		if len(examples) == 0 {
			t.Errorf("%s has no example", heading)
		}
		for _, e := range examples {
			strictly(t, heading, about, e[1])
		}
	}
}

// strictly decodes an example, and encodes it again: nothing of it may be lost.
func strictly(t *testing.T, heading string, about reflect.Type, text string) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	for decoder.More() {
		into := reflect.New(about)
		if err := decoder.Decode(into.Interface()); err != nil {
			t.Errorf("%s: an example: %v", heading, err)
			return
		}
		again, err := json.Marshal(into.Interface())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(squeezed(text), again) {
			t.Errorf("%s: an example is not what is printed, but\n%s", heading, again)
		}
	}
}

// squeezed is JSON without the white space between its parts.
func squeezed(text string) []byte {
	var b bytes.Buffer
	for decoder := json.NewDecoder(strings.NewReader(text)); decoder.More(); {
		var one json.RawMessage
		if err := decoder.Decode(&one); err != nil {
			return nil
		}
		if err := json.Compact(&b, one); err != nil {
			return nil
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}
