package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every script that a failure can be of has a name that operators know, and none has one
// that is no script's.
func TestDeeds(t *testing.T) {
	files, err := filepath.Glob("../../phases/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var scripts []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`"([a-z-]+\.sh)"`).FindAllStringSubmatch(string(text), -1) {
			if scripts = append(scripts, m[1]); !strings.HasSuffix(file, "_test.go") && deed(m[1]) == m[1] {
				t.Errorf("%s: what %s is for is not said", filepath.Base(file), m[1])
			}
		}
	}
	for script := range deeds {
		if !slices.Contains(scripts, script) {
			t.Errorf("there is no %s", script)
		}
	}
}
