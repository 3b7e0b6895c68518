package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// noises are what a terminal would act on, or would hide or reorder.
var noises = []string{
	"\x1b[31mred", "\x1b[2J\x1b[H", "\x1b]0;pwned\x07", "\x1b]8;;http://x\x1b\\y\x1b]8;;\x1b\\", "\x1b]52;c;cm0gLXJm\x07",
	"\x1bP+q544e\x1b\\", "\x1b_cmd\x1b\\", "\x1b[c\x1b[6n\x1b[>0q", "\x1b[?1049h", "\x9b31m", "\u009d0;x\u009c", "rel: ok\rrel: no",
	"abc\b\b\bxyz", "a\x07b\x00c", "\u202egnp.\u2066exe\u2069", "a\u200bb\ufeffc\u00ad", "\xff\xfe\xc3(", "\xc0\x9b31m\xe0\x80\x9b", "\x0e\x1bc\x7f",
}

// TestHostilePromotion: on the operator's terminal and in the log is nothing but text,
// whatever the hosts print and however much, and what they printed is kept.
func TestHostilePromotion(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("there is no ssh to resolve names with")
	}
	for _, story := range []int{next, sick} {
		t.Run(stories[story], func(t *testing.T) {
			s, stop := newScene(t, cutting{}, story)
			defer stop()
			long := bytes.Repeat([]byte("\x1b[31mx"), 10<<10)
			flood := func(script string, to io.Writer) {
				if script == "build" {
					for n := 0; n < 100<<20; n += len(long) {
						_, _ = to.Write(long)
					}
				}
			}
			s.grind.noise.Store(&flood)
			all := func(_ string, to io.Writer) { _, _ = io.WriteString(to, strings.Join(noises, "\n")+"\n") }
			s.prod.noise.Store(&all)
			cmd := exec.CommandContext(t.Context(), program(t), append(slices.Clone(s.flags), "start", "--yes", "--color=never")...)
			code, screen, most := onTerminal(t, cmd)
			if want := map[int]int{next: exitOK, sick: exitReverted}[story]; code != want {
				t.Errorf("exit %d, want %d\n%q", code, want, screen)
			}
			screen = strings.ReplaceAll(screen, "\r\n", "\n") // the terminal's own
			if !strings.Contains(screen, "prod: | red") || strings.ContainsFunc(screen, actsOnTerminal) {
				t.Errorf("the screen has %q", screen)
			}
			if most == 0 || most > 64<<10 {
				t.Errorf("it took %d KiB of memory", most)
			}
			logs, _ := filepath.Glob(filepath.Join(filepath.Dir(s.journal), "logs", "*", "*-1.*"))
			var raw []byte
			for _, name := range logs {
				text, err := os.ReadFile(name)
				if err != nil || len(text) > outputCap+1<<20 {
					t.Errorf("%s has %d bytes, %v", name, len(text), err)
				}
				if strings.HasSuffix(name, ".raw") {
					raw = append(raw, text...)
				} else if strings.ContainsFunc(string(text), actsOnTerminal) {
					t.Errorf("%s is not safe to show", name)
				}
			}
			for _, noise := range noises {
				if !bytes.Contains(raw, []byte(" prod: "+noise+"\n")) {
					t.Errorf("%q was not kept", noise)
				}
			}
			if !bytes.Contains(raw, []byte(" grind: "+string(long[:1000]))) || !bytes.Contains(raw, []byte("what came after the first 67108864 bytes is not kept")) {
				t.Error("the long line was not kept up to the cap")
			}
		})
	}
}

func actsOnTerminal(r rune) bool {
	return r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r))
}
