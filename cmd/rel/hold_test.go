package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/remote/lab"
)

// long says that the sweeps are to be whole: make test-long.
var long = os.Getenv("REL_TEST_LONG") != ""

// rounds is how often a sweep goes round.
func rounds(sample, whole int) int {
	if long {
		return whole
	}
	return sample
}

// sampled are the last n of a table's cases, or all of them.
func sampled[T any](n int, cases []T) []T {
	if long {
		return cases
	}
	return cases[len(cases)-n:]
}

// during runs `rel start` in a process of its own and calls fn, once, at the first
// event that fits; rel goes on meanwhile.
func (w *world) during(rel string, at func(journal.Event) bool, fn func(*exec.Cmd)) (code int, said string) {
	w.t.Helper()
	return w.process(rel, "start", at, fn)
}

// slowBuild has every build begin that many seconds later, and end that many after all is
// built.
func (w *world) slowBuild(before, after int) {
	w.t.Helper()
	w.exec(w.BuildHost(), fmt.Sprintf(`mkdir -p /run/wrappers/bin
		cat >/run/wrappers/bin/nix <<'EOF'
#!/bin/sh
case "$*" in
*internal-json*)
	sleep %d
	/usr/bin/nix "$@"
	status=$?
	sleep %d
	exit "$status"
	;;
esac
exec /usr/bin/nix "$@"
EOF
		chmod +x /run/wrappers/bin/nix`, before, after))
}

// TestHeld: a second operator is told who is at work, on what and since when, and
// what to do about it; and may wait.
func TestHeld(t *testing.T) {
	w := newWorld(t, 2)
	rel := program(t)
	other := w.elsewhere()
	w.must(exitOK, "start")
	w.bump(lab.Bump{})
	w.slowBuild(25, 0)
	waited := make(chan outcome)
	code, _ := w.during(rel, begins("build"), func(*exec.Cmd) {
		id := w.newest()
		o := other.must(exitHeld, "start")
		o.closes(t)
		o.mentions(t, "choiros-prod: held by promotion "+id, "(SHA256:", "since 20", "last heartbeat", "--wait 10m", "rel unlock "+id+" --config ", " -m WHY --force")
		other.must(exitOK, "status").mentions(t, "held by promotion "+id, ", in build,")
		o = other.must(exitHeld, "unlock", id, "-m", "to see whether it lets me")
		o.mentions(t, "next:    rel unlock "+id+" --force ", "--message 'to see whether it lets me'")
		other.must(exitHeld, "plan").mentions(t, "promotion "+id+" is at work there", "cure:    rel start --wait 10m")
		other.must(exitRefused, "unlock", "20200101-000000-abcdef0", "-m", "not the one").mentions(t, id)
		if held := w.exec("choiros-prod-2", "readlink /var/lib/rel/choiros/hold"); !strings.Contains(held, "|"+id+"|build|") {
			t.Errorf("the hold of the second target is %q", held)
		}
		go func() { waited <- other.rel("start", "--wait", "2m") }()
	})
	if code != exitOK {
		t.Errorf("the first ended with %d", code)
	}
	o := <-waited
	if o.code != exitOK {
		t.Errorf("who waited ended with %d", o.code)
	}
	o.mentions(t, ": choiros-prod: held by promotion ", "already live")
	if left := w.exec("choiros-prod", "readlink /var/lib/rel/choiros/hold; true"); left != "" {
		t.Errorf("a hold is left: %s", left)
	}
}

// TestDeadOwner: an owner who died re-enters at once; another operator once the
// heartbeats have been missing for their fifteen seconds, or takes the hold away.
func TestDeadOwner(t *testing.T) {
	w := newWorld(t, 1)
	rel := program(t)
	other := w.elsewhere()
	w.slowBuild(3, 0)
	w.startAndSignal(rel, syscall.SIGKILL, begins("build"))
	dead := w.newest()
	w.must(exitOK, "resume").mentions(t, "taken over from promotion "+dead)

	w.bump(lab.Bump{})
	w.startAndSignal(rel, syscall.SIGKILL, begins("build"))
	dead = w.newest()
	other.must(exitHeld, "start").mentions(t, "ends by itself after fifteen seconds")
	other.must(exitOK, "start", "--wait", "1m").mentions(t, "taken over from promotion "+dead)
	if ledger := w.exec("choiros-prod", "cat /var/lib/rel/choiros/ledger.jsonl"); !strings.Contains(ledger, `"over":"`+dead+`"`) {
		t.Error("the target's ledger does not know of the takeover")
	}
	// It is what the first was about, and so there is nothing left to do.
	w.must(exitOK, "resume", dead).mentions(t, "already live and healthy")
	w.must(exitOK, "status")
}

// TestTakenAway: whoever's hold is taken stops before the next change, whatever
// they were doing, and what they still send is refused by the target.
func TestTakenAway(t *testing.T) {
	w := newWorld(t, 1)
	rel := program(t)
	other := w.elsewhere()
	w.must(exitOK, "start")
	before := w.hypervisor("choiros-prod")
	w.bump(lab.Bump{})
	w.slowBuild(6, 0)
	code, said := w.during(rel, begins("build"), func(*exec.Cmd) {
		id := w.newest()
		other.must(exitOK, "unlock", id[len(id)-7:], "-m", "it must not go live", "--force").mentions(t, "taken from promotion "+id)
	})
	if code != exitHeld || !strings.Contains(said, "rel: choiros-prod: the hold of this promotion was taken away") {
		t.Errorf("exit %d: %s", code, said)
	}
	if now := w.hypervisor("choiros-prod"); now != before {
		t.Errorf("the target went to\n%s\nfrom\n%s", now, before)
	}
	if ledger := w.exec("choiros-prod", "cat /var/lib/rel/choiros/ledger.jsonl"); !strings.Contains(ledger, `"what":"unlocked"`) || !strings.Contains(ledger, "it must not go live") {
		t.Error("the target's ledger does not know of the unlock")
	}
	w.must(exitOK, "resume").mentions(t, "healthy on choiros-prod")
}

// TestStale stops the holder's process, as a laptop's lid does, in one phase after
// the other, while another operator takes the hold. What it does when it wakes is
// refused by the target: it does not go live, and the target is as it was.
func TestStale(t *testing.T) {
	w := newWorld(t, 1)
	rel := program(t)
	other := w.elsewhere()
	w.must(exitOK, "start")
	before := w.exec("choiros-prod", "readlink /opt/choiros/bin/*")
	w.bump(lab.Bump{})
	phases := []string{"apply", "copy", "health", "sync"}
	refused := map[string]int{}
	for round := range rounds(4, 100) {
		phase := phases[round%len(phases)]
		code, said := w.during(rel, begins(phase), func(cmd *exec.Cmd) {
			id := w.newest() // it may be stopped with the journal in its hands
			_ = cmd.Process.Signal(syscall.SIGSTOP)
			other.must(exitOK, "unlock", id, "-m", "asleep", "--force")
			if phase == "apply" {
				// The job goes on without its owner.
				w.await("choiros-prod", "flock -n /var/lib/rel/choiros/apply.lock true")
			}
			_ = cmd.Process.Signal(syscall.SIGCONT)
		})
		if code != exitHeld {
			t.Errorf("round %d, %s: exit %d: %s", round, phase, code, said)
		} else {
			refused[phase]++
		}
		if live := w.exec("choiros-prod", "basename $(readlink /var/lib/rel/choiros/live)"); live == w.newest() {
			t.Fatalf("round %d, %s: %s went live", round, phase, live)
		}
		w.must(exitOK, "abort", w.newest())
		if now := w.exec("choiros-prod", "readlink /opt/choiros/bin/*"); now != before {
			t.Fatalf("round %d, %s: the target is on\n%s\nbefore\n%s", round, phase, now, before)
		}
	}
	t.Logf("figures: stale changes refused, by the phase that was stopped: %v", refused)
	w.must(exitOK, "start")
}

// TestSlowUplink: the copy takes longer than a hold stands without a heartbeat, and
// there is hardly room beside it. Its owner lives, and keeps the hold.
func TestSlowUplink(t *testing.T) {
	w := newWorld(t, 1)
	proxies, config := w.behind()
	proxies[1].limit(200_000)
	oldest := make(chan int)
	stop := make(chan struct{})
	go func() {
		most := 0
		for {
			select {
			case <-stop:
				oldest <- most
				return
			case <-time.After(time.Second):
			}
			hold, err := w.Exec(w.t.Context(), "choiros-prod", "readlink /var/lib/rel/choiros/hold && cut -d. -f1 /proc/uptime")
			if text, now, ok := strings.Cut(strings.TrimSpace(hold), "\n"); err == nil && ok {
				beat, _ := strconv.Atoi(strings.Split(text, "|")[4])
				uptime, _ := strconv.Atoi(now)
				most = max(most, uptime-beat)
			}
		}
	}()
	w.must(exitOK, "start", "--ssh-config", config)
	close(stop)
	age := <-oldest
	t.Logf("figures: the oldest heartbeat was %d s old", age)
	if age >= 15 {
		t.Errorf("a heartbeat was %d s old: anyone could have taken the hold", age)
	}
}

// TestTakenInTheMidst: the hold is taken away while the apply looks at hashes, which
// takes a while. It has not begun, and does not begin any more.
func TestTakenInTheMidst(t *testing.T) {
	w := newWorld(t, 1)
	rel := program(t)
	other := w.elsewhere()
	w.must(exitOK, "start")
	before := w.runs("choiros-prod")
	w.bump(lab.Bump{})
	w.exec("choiros-prod", `mkdir -p /run/wrappers/bin
		printf '#!/bin/sh\ncase "$*" in *--verify-path*) touch /run/looking; sleep 6 ;; esac\nexec /usr/bin/nix-store "$@"\n' >/run/wrappers/bin/nix-store
		chmod +x /run/wrappers/bin/nix-store`)
	code, said := w.during(rel, begins("apply"), func(*exec.Cmd) {
		w.await("choiros-prod", "test -e /run/looking")
		other.must(exitOK, "unlock", w.newest(), "-m", "not this one", "--force")
	})
	if code != exitHeld {
		t.Errorf("exit %d: %s", code, said)
	}
	w.await("choiros-prod", "flock -n /var/lib/rel/choiros/apply.lock true")
	if now := w.runs("choiros-prod"); now != before {
		t.Errorf("the target runs\n%s\nbefore\n%s", now, before)
	}
	w.exec("choiros-prod", "rm /run/wrappers/bin/nix-store")
	w.must(exitOK, "resume").mentions(t, "healthy on choiros-prod")
}

// TestRace lets two operators begin at once: one wins, and the other is told who.
// With one journal that is told on the operator's machine, with two on the target.
func TestRace(t *testing.T) {
	w := newWorld(t, 2)
	rel := program(t)
	w.must(exitOK, "start")
	for _, race := range []struct{ name, journal string }{
		{"two journals", filepath.Join(t.TempDir(), "other", "journal.db")}, {"one journal", w.journal},
	} {
		late := 0
		for round := 0; round < rounds(2, 50); round++ {
			codes, said := w.race(rel, w.journal, race.journal)
			switch {
			case codes == [2]int{exitOK, exitHeld}, codes == [2]int{exitHeld, exitOK}:
				loser := said[0]
				if codes[0] == exitOK {
					loser = said[1]
				}
				if !strings.Contains(loser, "promotion 20") && !strings.Contains(loser, "another rel is running here (pid ") {
					t.Errorf("%s, round %d: the loser is not told who won: %s", race.name, round, loser)
				}
			case codes == [2]int{exitOK, exitOK} && w.oneAfterTheOther():
				// The machine was so slow that the second came when the first was gone.
				if late++; late > 10 {
					t.Fatalf("%s: the two never meet", race.name)
				}
				round--
			default:
				t.Fatalf("%s, round %d: they ended with %v:\n%s\n%s", race.name, round, codes, said[0], said[1])
			}
		}
		t.Logf("figures: %s: %d races, one winner each; %d times they did not meet", race.name, rounds(2, 50), late)
	}
	w.must(exitOK, "status")
}

func (w *world) race(rel string, journals ...string) (codes [2]int, said [2]string) {
	w.t.Helper()
	var wait sync.WaitGroup
	for i, journal := range journals {
		wait.Go(func() {
			ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
			defer cancel()
			// What is live would leave nothing to race for.
			cmd := exec.CommandContext(ctx, rel, "start", "--force", "--config", w.config, "--journal", journal, "--ssh-config", w.SSHConfigPath())
			out, _ := cmd.CombinedOutput()
			codes[i], said[i] = cmd.ProcessState.ExitCode(), string(out)
		})
	}
	wait.Wait()
	return codes, said
}

// oneAfterTheOther reports whether of the last two holds the first was let go
// before the second was taken.
func (w *world) oneAfterTheOther() bool {
	lines := strings.Fields(w.exec("choiros-prod", `grep -oE '"what":"(held|released)"' /var/lib/rel/choiros/ledger.jsonl | tail -n 4`))
	return fmt.Sprint(lines) == fmt.Sprint([]string{`"what":"held"`, `"what":"released"`, `"what":"held"`, `"what":"released"`})
}
