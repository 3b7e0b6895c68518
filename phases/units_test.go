package phases

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestFirstOfSeveral: a unit that crashed while it was watched is told once, and nothing else,
// though it is found twice: by what changed, and by its state. The job runs with SIGPIPE ignored,
// as systemd starts it.
func TestFirstOfSeveral(t *testing.T) {
	const units = `
property() {
	case $2 in
	ActiveState) if [ -e "$MARK" ]; then echo activating; else echo active; fi ;;
	*) echo 0 ;;
	esac
}
sleep() { : >"$MARK"; command sleep "$1"; }
settle=0.05
steady "api
worker
web" && echo steady
echo "faulty=$faulty"`
	cmd := exec.Command("/bin/sh", "-c", `trap '' PIPE; exec /bin/sh -uc "$SCRIPT"`)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "MARK="+t.TempDir()+"/crashed", "SCRIPT="+unitsPart+units)
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "faulty=api\n" {
		t.Errorf("%v: %q", err, out)
	}
	for name, part := range map[string]string{"units.sh": unitsPart, "links.sh": linksPart, "timers.sh": timersPart, "apply.sh": verbsPart} {
		if strings.Contains(part, "| sed 1q") {
			t.Errorf("%s leaves a pipe that is still written to", name)
		}
	}
}
