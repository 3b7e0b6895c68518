package main

import (
	"os/exec"
	"strings"
	"testing"
)

func man(t *testing.T, page string) string {
	t.Helper()
	var out, err syncBuffer
	if code := run(t.Context(), []string{"man", page}, stdio{out: &out, err: &err}); code != exitOK {
		t.Fatalf("rel man %s: exit %d: %s", page, code, err.String())
	}
	return out.String()
}

// groff has nothing to say against the pages, and they have what they should.
func TestMan(t *testing.T) {
	if strings.Contains(man(t, "rel.1"), "__complete") {
		t.Error("what is hidden is shown")
	}
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Skip("there is no groff")
	}
	for page, parts := range map[string][]string{
		"rel.1": {"NAME\n", "\n   rel start [flags]\n", "rel rollback [<id>] [flags]", "--allow-downgrade", "REL_JOURNAL", "SEE ALSO",
			"130    interrupted; can be resumed", "rel start -m 'login fix'"},
		"rel.toml.5": {"\nEXAMPLE\n", `body = "${sha}"`, "copy.via = \"auto\"", "limit.<phase>.silence", "app = (needed)"},
	} {
		cmd := exec.CommandContext(t.Context(), groff, "-man", "-Tascii", "-ww", "-P-c", "-P-b", "-P-u")
		cmd.Stdin = strings.NewReader(man(t, page))
		var out, said strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &said
		if err := cmd.Run(); err != nil || said.String() != "" {
			t.Errorf("groff: %v: %s", err, said.String())
		}
		for _, part := range parts {
			if !strings.Contains(out.String(), part) {
				t.Errorf("%s lacks %q:\n%s", page, part, out.String())
			}
		}
	}
}
