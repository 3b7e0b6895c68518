package main

import (
	"fmt"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The pictures' measures, in the units of an SVG: what a column and a line take of a font
// of 13.
const (
	pictureColumn = 7.83
	pictureLine   = 18
	pictureEdge   = 14
)

// pictureColours are those of a line by the mark that it begins with; the rest is white.
var pictureColours = map[string]string{"✔": "#7ec699", "✖": "#f08d8d", "rel:": "#f08d8d", "·": "#8a93a6", "$": "#8ab4f8", "•": "#c3cad9"}

// testPath is where the test has its journal, in place of an operator's.
var testPath = regexp.MustCompile(`/tmp/TestTerminal\d+/\d+/state`)

// picture keeps what stands on the window as a picture for the README, if golden files are
// written: testing that it is still so is the goldens' business, since it has times in it.
func (w *window) picture(t *testing.T, name, typed string) {
	t.Helper()
	if !*update {
		return
	}
	screen := testPath.ReplaceAllString(strings.TrimRight(w.String(), "\n "), "~/.local/state/rel/choiros")
	lines := append([]string{"$ " + typed}, strings.Split(screen, "\n")...)
	var b strings.Builder
	width, height := float64(w.Width)*pictureColumn+2*pictureEdge, len(lines)*pictureLine+2*pictureEdge
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%d" role="img" aria-label="%s">`+"\n", width, height, html.EscapeString(typed))
	b.WriteString(`<rect width="100%" height="100%" rx="8" fill="#1b1f27"/>` + "\n")
	b.WriteString(`<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,monospace" font-size="13" xml:space="preserve">` + "\n")
	for i, line := range lines {
		mark, _, _ := strings.Cut(strings.TrimLeft(line, " "), " ")
		colour := pictureColours[mark]
		if colour == "" {
			colour = "#e6e9ef"
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d" fill="%s">%s</text>`+"\n", pictureEdge, pictureEdge+(i+1)*pictureLine-5, colour, html.EscapeString(line))
	}
	b.WriteString("</g>\n</svg>\n")
	if err := os.WriteFile(filepath.Join("doc", "screens", name+".svg"), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}
