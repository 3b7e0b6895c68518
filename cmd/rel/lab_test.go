package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
	"choir.chat/rel/remote/lab"
)

func TestMain(m *testing.M) {
	lab.Main() // a test that is killed leaves a guard, which takes its lab down
	// Between the lab's hosts all that is sent would be there sooner through the operator.
	phases.Login = -time.Hour
	// Under nohup a hang-up would be ignored, and by all that the tests start.
	if signal.Ignored(syscall.SIGHUP) {
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
	code := m.Run()
	if wasBuilt.Load() {
		if dir, _ := built(); dir != "" {
			os.RemoveAll(dir)
		}
	}
	os.Exit(code)
}

// world is a lab, and an operator's files for it.
type world struct {
	*lab.Lab
	t       *testing.T
	journal string
	config  string
}

// newWorld brings a lab up for one test. Where there can be none the test is
// skipped and says why; in CI nothing is.
func newWorld(t *testing.T, targets int) *world {
	t.Helper()
	if err := lab.Available(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	// Labs stand beside each other, and most of a test is waiting for units.
	t.Parallel()
	dir, err := os.MkdirTemp("/var/tmp", "rel-test-")
	if err != nil {
		t.Fatal(err)
	}
	stop, err := lab.Guard(dir)
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.Up(t.Context(), lab.Options{Dir: dir, Targets: targets})
	if err != nil {
		// On a machine that is short of everything a host may not come up. What
		// these tests are about begins after that.
		t.Logf("once more, since: %v", err)
		_ = lab.Down(context.Background(), dir, func(line string) { t.Log(line) })
		l, err = lab.Up(t.Context(), lab.Options{Dir: dir, Targets: targets})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Down(context.Background()); err != nil {
			t.Error(err)
		}
		stop()
		os.RemoveAll(dir)
	})
	return &world{Lab: l, t: t, journal: filepath.Join(t.TempDir(), "state", "journal.db"), config: l.ConfigPath()}
}

// outcome is how a run of rel ended.
type outcome struct {
	code     int
	out, err string
}

// rel runs rel as an operator would, without a terminal.
func (w *world) rel(args ...string) outcome {
	w.t.Helper()
	var out, err syncBuffer
	// The test's own flags come last, and win.
	flags := []string{"--config", w.config, "--journal", w.journal, "--ssh-config", w.SSHConfigPath()}
	code := run(w.t.Context(), append(flags, args...), stdio{out: &out, err: &err})
	if !slices.Contains(args, "--json") {
		w.t.Logf("rel %s: exit %d\n%s%s", strings.Join(args, " "), code, out.String(), err.String())
	}
	return outcome{code, out.String(), err.String()}
}

// must is rel with the exit status it has to have.
func (w *world) must(code int, args ...string) outcome {
	w.t.Helper()
	o := w.rel(args...)
	if o.code != code {
		w.t.Fatalf("rel %s: exit %d, want %d", strings.Join(args, " "), o.code, code)
	}
	return o
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// events are those of one promotion, or of all.
func (w *world) events(id ...string) []journal.Event {
	w.t.Helper()
	if len(id) == 0 {
		id, _ = journal.New(w.journal).Promotions()
	}
	var list []journal.Event
	for _, id := range id {
		decoder := json.NewDecoder(strings.NewReader(w.must(exitOK, "log", "--json", id).out))
		for {
			var ev journal.Event
			if err := decoder.Decode(&ev); err == io.EOF {
				break
			} else if err != nil {
				w.t.Fatal(err)
			}
			list = append(list, ev)
		}
	}
	return list
}

// newest is the id of the promotion that was opened last.
func (w *world) newest() string {
	w.t.Helper()
	ids, err := journal.New(w.journal).Promotions()
	if err != nil || len(ids) == 0 {
		w.t.Fatalf("no promotion in the journal: %v", err)
	}
	return ids[len(ids)-1]
}

// past is the newest promotion, as the journal has it.
func (w *world) past() *machine.Past {
	w.t.Helper()
	events, err := journal.New(w.journal).Events(w.newest())
	if err != nil {
		w.t.Fatal(err)
	}
	past, err := machine.Replay(events)
	if err != nil {
		w.t.Fatal(err)
	}
	return past
}

func (w *world) bump(b lab.Bump) string {
	w.t.Helper()
	sha, err := w.Bump(w.t.Context(), b)
	if err != nil {
		w.t.Fatal(err)
	}
	return sha
}

func (w *world) exec(host, script string) string {
	w.t.Helper()
	out, err := w.Exec(w.t.Context(), host, script)
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// fetch asks a target's Caddy for a page, from outside, as a browser does.
func (w *world) fetch(target, url string) (status int, body string) {
	w.t.Helper()
	pem, err := os.ReadFile(w.CAPath())
	if err != nil {
		w.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(w.Addr(target), "443"))
		},
	}}
	response, err := client.Get(url)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return response.StatusCode, string(b)
}

// runs is what a target runs: its links, and the processes of its units.
func (w *world) runs(target string) string {
	w.t.Helper()
	return w.exec(target, `for l in /opt/choiros/bin/*; do [ ! -L "$l" ] || echo "$l $(readlink "$l")"; done
		for u in container@sandbox-live container@sandbox-dev hypervisor; do
			echo "$u $(systemctl show -p ActiveState -p MainPID --value $u | tr '\n' ' ')"
		done`)
}

// everything is all that rel could change on a host.
func (w *world) everything(host string) string {
	w.t.Helper()
	text := w.exec(host, `git -C /opt/choiros/workspace rev-parse HEAD
		git -C /opt/choiros/workspace status --porcelain
		cat /tmp/choiros-release.env 2>/dev/null
		ls /tmp | grep -v systemd-private
		find /var/lib/rel /nix/var/nix/gcroots/rel 2>/dev/null | sort; true`)
	if host != w.BuildHost() {
		text += w.runs(host)
	}
	return text
}

// unchanged returns a func that fails the test if any host was changed since.
func (w *world) unchanged() func() {
	w.t.Helper()
	hosts := append([]string{w.BuildHost()}, w.Targets()...)
	before := map[string]string{}
	for _, h := range hosts {
		before[h] = w.everything(h)
	}
	return func() {
		w.t.Helper()
		for _, h := range hosts {
			if now := w.everything(h); now != before[h] {
				w.t.Errorf("%s was changed:\n%s\nbefore:\n%s", h, now, before[h])
			}
		}
	}
}

// rewrite gives the operator a configuration in which old stands as new.
func (w *world) rewrite(replace ...string) {
	w.t.Helper()
	text, err := os.ReadFile(w.ConfigPath())
	if err != nil {
		w.t.Fatal(err)
	}
	changed := strings.NewReplacer(replace...).Replace(string(text))
	if changed == string(text) {
		w.t.Fatalf("the configuration has none of %q", replace)
	}
	w.config = filepath.Join(w.Dir, "rewritten.toml")
	if err := os.WriteFile(w.config, []byte(changed), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (o outcome) mentions(t *testing.T, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(o.out+o.err, word) {
			t.Errorf("nothing is said of %q", word)
		}
	}
}

// closes checks the four lines that end a failure.
func (o outcome) closes(t *testing.T) {
	t.Helper()
	o.err = "\n" + o.err
	o.mentions(t, "\nrel: ", "\ntargets: ", "\nnext: ", "\nlog: ")
	if strings.Contains(o.err, "{here}") {
		t.Errorf("what is proposed is not to be typed: %s", o.err)
	}
}

// steps are the phases that were begun, in order.
func steps(events []journal.Event) string {
	var names []string
	for _, ev := range events {
		if ev.Kind == journal.Intent {
			names = append(names, fmt.Sprintf("%s-%d", ev.Phase, ev.Attempt))
		}
	}
	return strings.Join(names, " ")
}
