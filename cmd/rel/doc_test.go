package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"choir.chat/rel/cmd/rel/config"
)

// pagesOfDoc are the README and the pages beside the door, by their paths.
func pagesOfDoc(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("doc/*.md")
	if err != nil || len(files) < 5 {
		t.Fatalf("the pages are %v: %v", files, err)
	}
	texts := map[string]string{}
	for _, name := range append(files, "../../README.md") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(text)
	}
	return texts
}

var (
	docLink    = regexp.MustCompile(`\]\(([^)#:]*)(#[^)]*)?\)`)
	docHeading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	notInSlug  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// What a page links to is there, to the heading.
func TestDocLinks(t *testing.T) {
	texts := pagesOfDoc(t)
	for name, text := range texts {
		for _, link := range docLink.FindAllStringSubmatch(text, -1) {
			to := filepath.Join(filepath.Dir(name), link[1])
			if link[1] == "" {
				to = name
			}
			content, err := os.ReadFile(to)
			if err != nil {
				t.Errorf("%s links to %s: %v", name, link[1], err)
				continue
			}
			slugs := []string{""}
			for _, heading := range docHeading.FindAllStringSubmatch(string(content), -1) {
				slugs = append(slugs, "#"+strings.ReplaceAll(notInSlug.ReplaceAllString(strings.ToLower(heading[1]), ""), " ", "-"))
			}
			if !slices.Contains(slugs, link[2]) {
				t.Errorf("%s links to %s%s, which has no such heading", name, link[1], link[2])
			}
		}
	}
}

// What a page has the reader type is something that rel takes.
func TestDocCommands(t *testing.T) {
	inline := regexp.MustCompile("`(rel [^`]*)`")
	block := regexp.MustCompile(`(?m)^(?:    |\$ )(rel [^#\n]*)`)
	seen := 0
	for name, text := range pagesOfDoc(t) {
		for _, found := range append(inline.FindAllStringSubmatch(text, -1), block.FindAllStringSubmatch(text, -1)...) {
			line := strings.NewReplacer("[ID]", "ID", "\n", " ").Replace(strings.TrimSpace(found[1]))
			line, _, _ = strings.Cut(line, " >") // into a file
			args := typedWords(line)[1:]
			if args[0] == strings.ToUpper(args[0]) {
				continue
			}
			// In running text some name the command alone, or its help.
			short := len(args) == 1 && pageOf(args[0]) != nil || args[len(args)-1] == "--help" && (len(args) == 1 || pageOf(args[0]) != nil)
			seen++
			if short {
				continue
			}
			if _, err := commandLine(t).Parse(args); err != nil {
				t.Errorf("%s has %q: %v", name, line, err)
			}
		}
	}
	if seen < 40 {
		t.Errorf("%d commands were found", seen)
	}
}

// Every exit status, and every reason to refuse, has its place on the page of failures,
// under the words that the operator has seen.
func TestFailuresPage(t *testing.T) {
	text := pagesOfDoc(t)["doc/failures.md"]
	for _, e := range exits[1:] {
		if !regexp.MustCompile(fmt.Sprintf(`(?m)^## Exit %d: `, e.code)).MatchString(text) {
			t.Errorf("there is nothing of exit %d", e.code)
		}
	}
	for reason, w := range refusals {
		heading := "\n### " + regexp.MustCompile(`\{\w+\}`).ReplaceAllString(w.what, "…") + "\n"
		if !strings.Contains(text, heading) {
			t.Errorf("there is nothing of %q:%s", reason, heading)
		}
	}
}

// The page of the configuration has the table that rel.toml(5) is made of.
func TestConfigPage(t *testing.T) {
	table := "| key | default | meaning |\n|---|---|---|\n"
	code := func(text string) string {
		if text == "" || text == config.Needed {
			return text
		}
		return "`" + text + "`"
	}
	for _, k := range config.Keys {
		table += fmt.Sprintf("| `%s` | %s | %s |\n", k.Name, code(k.Value), strings.ReplaceAll(k.Text, "|", `\|`))
	}
	if text := pagesOfDoc(t)["doc/config.md"]; !strings.Contains(text, table) {
		t.Errorf("doc/config.md lacks the table:\n%s", table)
	}
}

// Help in the README is that of the commands: none is forgotten.
func TestReadmeCommands(t *testing.T) {
	text := pagesOfDoc(t)["../../README.md"]
	for _, command := range visible(commandLine(t).Model) {
		if !strings.Contains(text, "| `rel "+command.Name) && !strings.Contains(text, "`rel "+command.Name+" --help`") {
			t.Errorf("the README has nothing of rel %s", command.Name)
		}
	}
}
