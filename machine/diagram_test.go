package machine

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the diagrams into testdata")

// The diagrams are drawn from the tables; a change in them is seen, and meant.
func TestDiagram(t *testing.T) {
	for _, kind := range Kinds {
		got, err := kind.Diagram()
		if err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", string(kind)+".mmd")
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("the diagram of a %s is\n%s\nwant (go test -update, if it is meant)\n%s", kind, got, want)
		}
	}
}

// What the README shows is what the machine does.
func TestDiagramIsInTheReadme(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]Kind{}
	for _, kind := range Kinds {
		diagram, err := kind.Diagram()
		if err != nil {
			t.Fatal(err)
		}
		known[diagram] = kind
	}
	found := map[Kind]bool{}
	for _, block := range mermaid(string(readme)) {
		kind, ok := known[block]
		if !ok {
			t.Errorf("README.md has a diagram that is none of the machine's (any more):\n%s", block)
		}
		found[kind] = true
	}
	if !found[Forward] {
		t.Error("README.md lacks the diagram of a start: a ```mermaid fence with testdata/start.mmd in it")
	}
}

// mermaid is the content of a text's ```mermaid fences.
func mermaid(text string) []string {
	var blocks []string
	inside := false
	for line := range strings.Lines(text) {
		switch fence := strings.TrimSpace(line); {
		case !inside && fence == "```mermaid":
			inside = true
			blocks = append(blocks, "")
		case inside && fence == "```":
			inside = false
		case inside:
			blocks[len(blocks)-1] += line
		}
	}
	return blocks
}
