package phases

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A connection that is cut ends what a script reads, and the script cannot tell that
// from its end. What arrived in part changes nothing: least of all the job's script,
// which the timers run that put the previous release back.
func TestInputBreaksOff(t *testing.T) {
	if _, err := exec.LookPath("flock"); err != nil {
		t.Skip("there is no flock")
	}
	rows := "attempt\t2\nepoch\t0\nconfirm\t5\nsettle\t1\nledger\t\"promotion\":\"1\"\nlive\t\nwas\t/x\t\nlink\t/x\t/y\n"
	release := "kind\tstart\norigin\t1\nlink\t/x\t/y\npath\t/nix/store/x\n"
	for _, script := range []struct{ name, code, input string }{
		{"start.sh", startScript, rows + "---\n" + jobScript() + lastLine},
		{"confirm.sh", timersPart + confirmScript, rows + lastLine},
		{"receive.sh", receiveScript, release + lastLine},
	} {
		for n := 0; n < len(script.input)-1; n += 1 + len(script.input)/12 {
			dir := t.TempDir()
			mine := filepath.Join(dir, "app", "releases", "1")
			if err := os.MkdirAll(mine, 0o700); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"job", "apply.sh", "release", "closure"} {
				if err := os.WriteFile(filepath.Join(mine, name), []byte("whole"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command("/bin/sh", "-c", strings.ReplaceAll(targetHead+script.code, "/var/lib/rel/", dir+"/"))
			cmd.Env = append(os.Environ(), "LC_ALL=C", "APP=app", "ID=1", "EPOCH=0", "VERB=revert", "REASON=", "ATTEMPT=2",
				"LIMIT=5", "SUM=", "BY=ana", "MANIFEST="+filepath.Join(dir, "manifest"), "STORE="+dir)
			cmd.Stdin = strings.NewReader(script.input[:n])
			if said, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(said), "broke off") {
				t.Errorf("%s took %d of %d bytes: %v, %s", script.name, n, len(script.input), err, said)
			}
			for _, name := range []string{"job", "apply.sh", "release", "closure"} {
				if text, _ := os.ReadFile(filepath.Join(mine, name)); string(text) != "whole" {
					t.Fatalf("%s, cut after %d bytes, changed %s to %q", script.name, n, name, text)
				}
			}
			if _, err := os.Stat(filepath.Join(mine, "confirmed")); err == nil {
				t.Errorf("%s, cut after %d bytes, confirmed", script.name, n)
			}
		}
	}
}
