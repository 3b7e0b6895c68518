package remote

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestAliases(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.conf"), 0o600); err != nil {
		t.Fatal(err)
	}
	write("one.conf", "Host included\n")
	write("two.conf", "host\tINCLUDED2 # and no more\nHost evil\x1b[2J\n")
	config := write("config", strings.Join([]string{
		"# Host commented", "Host prod prod-2 *.example.org !not", "  HostName 10.0.0.1", `Host="quoted"`, "Host = spaced", "HostName nohost",
		"Match host matched", "Include " + filepath.Join(dir, "*.conf"), "Include " + filepath.Join(dir, "config"), "Include /nowhere [", `Host "two words" a?b`, "Host",
	}, "\n"))
	want := []string{"INCLUDED2", "included", "prod", "prod-2", "quoted", "spaced", "two words"}
	if got := Aliases(config); !slices.Equal(got, want) {
		t.Errorf("the aliases are %q, want %q", got, want)
	}
	if got := Aliases(filepath.Join(dir, "none")); len(got) != 0 {
		t.Errorf("a file that is not there has aliases: %q", got)
	}
	many := write("many", strings.Repeat("Host "+strings.Repeat("x", 60)+"\n", 100)+strings.Repeat("Host a b c d e f\n", 10))
	if got := Aliases(many); len(got) != 7 {
		t.Errorf("%d aliases, want 7", len(got))
	}
}
