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

// The hold is let go whatever becomes of the pruning before that: here there is no record
// of the release. And it is not, where it is someone else's.
func TestLeave(t *testing.T) {
	if _, err := exec.LookPath("flock"); err != nil {
		t.Skip("there is no flock")
	}
	for owner, gone := range map[string]bool{"7": true, "8": false} {
		state := t.TempDir()
		app := filepath.Join(state, "app")
		if err := os.MkdirAll(filepath.Join(app, "releases"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(app, "epoch"), []byte(owner+" 1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(owner+"|1|health|x|1|2026-11-23T04:00:00Z||ana", filepath.Join(app, "hold")); err != nil {
			t.Fatal(err)
		}
		p := &Promotion{ID: "1", Plan: Plan{App: "app", Keep: 5}, Targets: []Host{&local{name: "prod", state: state}}, Line: func(string, string) {}}
		h := &Hold{promotion: p, epochs: map[string]int64{"prod": 7}}
		p.Hold = h
		h.Release(t.Context(), "healthy", true)
		if _, err := os.Readlink(filepath.Join(app, "hold")); (err != nil) != gone {
			t.Errorf("the hold of epoch %s: %v", owner, err)
		}
		ledger, _ := os.ReadFile(filepath.Join(app, "ledger.jsonl"))
		if released := strings.Contains(string(ledger), `"what":"released"`); released != gone {
			t.Errorf("the hold of epoch %s: the ledger says %q", owner, ledger)
		}
	}
}

// What a target says of who took the hold goes to a terminal and into the journal.
func TestPrintable(t *testing.T) {
	if got := printable("7|p\x1b[31m|copy\u202e|\x9b1|ana ü\r\n|"); got != "7|p[31m|copy|1|ana ü|" {
		t.Errorf("got %q", got)
	}
}
