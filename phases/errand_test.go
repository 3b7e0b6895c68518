package phases

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// TestLater: the script that comes with the input is run with what is behind it, whole or
// not at all.
func TestLater(t *testing.T) {
	code := "echo begun\ncat\n# end\n\n"
	run := func(input string) (string, error) {
		cmd := exec.Command("sh", "-c", laterScript)
		cmd.Stdin = strings.NewReader(input)
		out, err := cmd.Output()
		return string(out), err
	}
	whole := fmt.Sprintf("%d\n%s", len(code), code)
	if out, err := run(whole + "the rest\n"); err != nil || out != "begun\nthe rest\n" {
		t.Errorf("it said %q, %v", out, err)
	}
	for n := range whole {
		if out, err := run(whole[:n]); err == nil || out != "" {
			t.Errorf("of %q was run a part: %q", whole[:n], out)
		}
	}
}
