package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rooms are where what the program says is written.
var rooms = []string{"cmd/rel", "cmd/rel/config", "cmd/rel/github", "cmd/rel/proposal", "cmd/rel/show", "machine", "journal", "phases", "phases/serve", "remote"}

// TestMessages: every text that the program can print is in one file, to be read at once;
// whoever changes one reads it again there (go test ./cmd/rel -run TestMessages -update).
// And none of them speaks of the program's insides.
func TestMessages(t *testing.T) {
	var b strings.Builder
	for _, room := range rooms {
		dir := filepath.Join("..", "..", room)
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			for _, text := range messagesOf(t, file) {
				fmt.Fprintf(&b, "%s: %s\n", filepath.ToSlash(filepath.Join(room, filepath.Base(file))), text)
				if why := inside(text); why != "" {
					t.Errorf("%s: %q %s", file, text, why)
				}
			}
		}
	}
	golden := filepath.Join("testdata", "messages.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	was, is := strings.Split(string(want), "\n"), strings.Split(b.String(), "\n")
	for _, line := range is {
		if !slices.Contains(was, line) {
			t.Errorf("%s lacks %s", golden, line)
		}
	}
	for _, line := range was {
		if !slices.Contains(is, line) {
			t.Errorf("%s has, and the program has not: %s", golden, line)
		}
	}
}

// messagesOf are the texts in a file of Go, or what a script says, in their order.
func messagesOf(t *testing.T, file string) []string {
	t.Helper()
	switch {
	case strings.HasSuffix(file, "_test.go"):
		return nil
	case strings.HasSuffix(file, ".go"):
		return goTexts(t, file)
	case strings.HasSuffix(file, ".sh"):
		return scriptTexts(t, file)
	}
	return nil
}

// goTexts are the literals that are more than a word, but for tags and patterns.
func goTexts(t *testing.T, file string) (texts []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.Field:
			node.Tag = nil
		case *ast.CallExpr:
			if named, ok := node.Fun.(*ast.SelectorExpr); ok && named.Sel.Name == "MustCompile" {
				return false
			}
		case *ast.BasicLit:
			text, err := strconv.Unquote(node.Value)
			if node.Kind == token.STRING && err == nil && worded.MatchString(text) {
				texts = append(texts, strconv.Quote(text))
			}
		}
		return true
	})
	return texts
}

// worded are texts of at least two words.
var worded = regexp.MustCompile(`[a-z]{2,}[,:;]? +[a-z%"{]`)

// scriptSays are the lines of a script that tell somebody something.
var scriptSays = regexp.MustCompile(`\b(?:say|wrong|give_up|fail) "([^"]* [^"]*)"|echo "([^"]* [^"]*)" >&2`)

func scriptTexts(t *testing.T, file string) (texts []string) {
	t.Helper()
	code, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range scriptSays.FindAllStringSubmatch(string(code), -1) {
		texts = append(texts, strconv.Quote(m[1]+m[2]))
	}
	return texts
}

// inside is why a text is none for operators; empty, if it is one.
func inside(text string) string {
	if text == `"unable to authenticate"` {
		return "" // x/crypto's own words, which are looked for
	}
	for part, why := range map[string]string{
		"failed to": "says that something was tried, and not what is the matter", "unable to": "says that something was tried, and not what is the matter",
		"%T": "shows a type", "%#v": "shows a value as Go writes it", "%+v": "shows a value as Go writes it",
		"nil pointer": "speaks of the program", "goroutine": "speaks of the program", "struct": "speaks of the program",
		"please": "begs", "Error:": "shouts", "!\"": "shouts",
	} {
		if strings.Contains(text, part) {
			return why
		}
	}
	return ""
}
