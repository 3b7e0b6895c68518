package phases

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestHolders: a hold is read as it was written, whatever is in its owner's name, and
// one that somebody made by hand stands in nobody's way.
func TestHolders(t *testing.T) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Skip("this machine does not tell one boot from another: ", err)
	}
	here := strings.TrimSpace(string(boot))
	for _, c := range []struct {
		text, operator string
		alive          bool
	}{
		{"7|20261123-040000-abc1234|copy|" + here + "|NOW|2026-11-23T04:00:00Z|SHA256:x|ana@mbp", "ana@mbp", true},
		{"7|20261123-040000-abc1234|copy|" + here + `|NOW|2026-11-23T04:00:00Z|SHA256:x|CORP\nancy@mbp`, `CORP\nancy@mbp`, true},
		{"7|20261123-040000-abc1234|copy|" + here + `|NOW|2026-11-23T04:00:00Z||CORP\carol|and so on`, `CORP\carol|and so on`, true},
		{"7|20261123-040000-abc1234|copy|" + here + "|1|2026-11-23T04:00:00Z||ana", "ana", false},
		{"7|20261123-040000-abc1234|copy|another-boot|NOW|2026-11-23T04:00:00Z||ana", "ana", false},
		// From the future, no number, and what an operator might write.
		{"7|20261123-040000-abc1234|copy|" + here + "|99999999|2026-11-23T04:00:00Z||ana", "ana", false},
		{"7|20261123-040000-abc1234|copy|" + here + "|soon|2026-11-23T04:00:00Z||ana", "ana", false},
		{"maintenance until noon", "", false},
	} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "app"), 0o700); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("/bin/sh", "-euc", strings.ReplaceAll(targetHead, "/var/lib/rel/", dir+"/")+
			"ln -s \"$(printf '%s' \"$TEXT\" | sed \"s/|NOW|/|$(now)|/\")\" $state/hold; holder held")
		cmd.Env = append(os.Environ(), "LC_ALL=C", "APP=app", "ID=1", "TEXT="+c.text)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v: %s", c.text, err, out)
			continue
		}
		a, err := parseAnswer("prod", "x", out)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		h := parseHolder(a.get("held"))
		if h == nil || h.Operator != c.operator || h.Alive() != c.alive || c.operator != "" && (h.Epoch != 7 || h.Phase != "copy") {
			t.Errorf("%s is read as %+v (alive: %t)", c.text, h, h.Alive())
		}
		if h != nil && time.Duration(h.Silent) < 0 {
			t.Errorf("%s: a heartbeat of the future", c.text)
		}
	}
}

// What a target says of who took the hold goes to a terminal and into the journal.
func TestPrintable(t *testing.T) {
	if got := printable("7|p\x1b[31m|copy\u202e|\x9b1|ana ü\r\n|"); got != "7|p[31m|copy|1|ana ü|" {
		t.Errorf("got %q", got)
	}
}
