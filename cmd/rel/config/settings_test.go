package config

import (
	"os"
	"strings"
	"testing"
)

// checkShown: what is shown is a rel.toml that means the same.
func checkShown(t *testing.T, c *File) {
	t.Helper()
	settings, err := c.Settings()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := WriteSettings(&text, "rel.toml", settings); err != nil {
		t.Fatal(err)
	}
	again, err := Parse(c.path, []byte(text.String()))
	if err == nil {
		err = again.Validate()
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, text.String())
	}
	meant, err := c.Plan()
	if err != nil {
		t.Fatal(err)
	}
	shown, err := again.Plan()
	if err != nil {
		t.Fatal(err)
	}
	// What stands there as a limit is the phase's own, or what the file set.
	meant.Limits, shown.Limits = nil, nil
	if differ := Differences(meant, shown); len(differ) > 0 {
		t.Errorf("what is shown has another %q:\n%s", differ, text.String())
	}
}

func TestShownMeansTheSame(t *testing.T) {
	every, err := os.ReadFile("testdata/every.toml") // whose values come from everywhere
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{goodConfig, string(every)} {
		c, err := load(t, text)
		if err != nil {
			t.Fatal(err)
		}
		checkShown(t, c)
	}
}
