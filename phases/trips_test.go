package phases

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const (
	// trip is how long it takes to ask and to be answered; handshake how long until
	// there is a connection.
	trip      = time.Second
	handshake = 8 * trip
	// settle is how long an apply looks on once all is up.
	settle = handshake
)

// far is a host of which each answer takes a round trip, in a time that only the test
// has: what is asked side by side takes one together.
type far struct {
	name string
	// site is what it answers by.
	site *farSite

	mu    sync.Mutex
	asked []string
}

// farSite is what the far hosts of a promotion are like.
type farSite struct {
	mu sync.Mutex

	was, commit string
	// moved says that the checkouts are at the commit, applied that the links are.
	moved, applied bool
	// live is the commit that is live, epoch the one granted last, hold who has it.
	live  string
	epoch int64
	hold  string
	// answers replace those of scripts, by name, and failures are how some fail, once.
	answers  map[string]string
	failures map[string]error
}

func (f *far) Name() string { return f.name }

func (f *far) Run(ctx context.Context, s Script) ([]byte, error) {
	f.mu.Lock()
	f.asked = append(f.asked, strings.TrimSpace(s.Name+" "+s.Env["STEP"]))
	f.mu.Unlock()
	if s.Loan != nil {
		select { // a session of its own
		case <-time.After(2 * trip):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if s.Stdin != nil {
		if _, err := io.Copy(io.Discard, s.Stdin); err != nil {
			return nil, err
		}
	}
	time.Sleep(trip)
	if s.Name == "start.sh" {
		for range 2 { // as after a connection that was lost
			s.Line(fmt.Sprintf(upLine, 1, seconds(settle)))
		}
		time.Sleep(settle)
	}
	if s.Stdout != nil {
		_, _ = s.Stdout.Write(receiptOf(farPath))
	}
	return []byte(f.site.answer(s)), f.site.failure(s)
}

// farPath is what is built, and wire a number, or a text, of Nix's serve protocol.
const farPath = "/nix/store/00000000000000000000000000000000-x"

func wire(n int) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(n)) }

func wireText(text string) []byte {
	return slices.Concat(wire(len(text)), []byte(text), make([]byte, (8-len(text)%8)%8))
}

// greetingOf is a server's.
func greetingOf() []byte { return append(wire(0x5452eecb), wire(2<<8|6)...) }

// receiptOf is what a target answers that lacked a path, and has it now.
func receiptOf(path string) []byte {
	return slices.Concat(greetingOf(), wire(0), wire(1), wire(1), wireText(path))
}

// infosOf is what infos.sh says of a path without references.
func infosOf(path string) string {
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	_, _ = zip.Write(slices.Concat(greetingOf(), wireText(path), wireText(""), wire(0), wire(100), wire(100),
		wireText("sha256:"+strings.Repeat("0", 52)), wireText(""), wire(0), wireText("")))
	zip.Close()
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

func (w *farSite) failure(s Script) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer delete(w.failures, s.Name)
	return w.failures[s.Name]
}

func (w *farSite) answer(s Script) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.moved = w.moved || s.Env["STEP"] == "move"
	w.applied = w.applied || s.Name == "start.sh"
	if a, ok := w.answers[s.Name]; ok {
		return a
	}
	head, links := w.was, "old"
	if w.moved {
		head = w.commit
	}
	if w.applied {
		links = path.Base(farPath)
	}
	at := "nix=nix (Nix) 2.18.1\nfree=99999999\nhead=" + head + "\n"
	switch s.Name {
	case "pin.sh":
		return "commit=" + w.commit + "\nsubject=the newest\n" + at
	case "sync.sh":
		return "commit=" + w.commit + "\nuser=root\n" + at
	case "checkout.sh":
		return at
	case "ancestor.sh":
		return "ancestor=yes\n"
	case "look.sh":
		return fmt.Sprintf("uid=0\nsystemd=yes\nnix=nix\nfree=99999999\nlive=20260101-000000-aaaaaaa\nlive_sha=%s\nepoch=%d\nhold=%s\n"+
			"link=/opt/x\t/nix/store/%s/bin/x\nunit=x\tLoadState=loaded ActiveState=active Type=simple\n", w.live, w.epoch, w.hold, links)
	case "take.sh":
		return fmt.Sprintf("room=99999999\nepoch=%d\n", w.epoch+1)
	case "build.sh":
		return fmt.Sprintf("built=x\t[{\"outputs\":{\"out\":%q}}]\npath=%s\ninfos=%s\n", farPath, farPath, infosOf(farPath))
	case "receive.sh":
		return fmt.Sprintf("missing=%s\nfree=99999999\nroom=99999999\naccept= zstd gzip\n", farPath)
	case "bundle.sh":
		return "data=\nx"
	case "start.sh":
		return `end={"attempt":1,"result":"applied"}` + "\n"
	case "extend.sh":
		return "left=120\n"
	case "confirm.sh":
		return "confirmed=yes\n"
	}
	return ""
}

func (f *far) Upload(context.Context, string, []byte, uint32) error {
	time.Sleep(trip)
	return nil
}

// DialContext leads to a server that takes a round trip to answer.
func (f *far) DialContext(context.Context, string, string) (net.Conn, error) {
	time.Sleep(trip)
	here, there := net.Pipe()
	go func() {
		defer there.Close()
		if _, err := http.ReadRequest(bufio.NewReader(there)); err == nil {
			time.Sleep(trip)
			fmt.Fprintf(there, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(f.site.live), f.site.live)
		}
	}()
	return here, nil
}

func (f *far) Redial(context.Context) (Connection, error) {
	time.Sleep(handshake)
	return f, nil
}

func (f *far) Uplink(context.Context, bool) (time.Duration, float64) { return trip, 0 }

func (f *far) Close() {}

func (f *far) Loan(context.Context, string) (Loan, error) { return farLoan{}, nil }

// farLoan is one that nobody uses.
type farLoan struct{ Loan }

func (farLoan) Grant()          {}
func (farLoan) Key() string     { return "ssh-ed25519 k" }
func (farLoan) HostKey() string { return "ssh-ed25519 h" }
func (farLoan) User() string    { return "root" }
func (farLoan) Address() string { return "10.0.0.1" }
func (farLoan) Port() string    { return "22" }

// count is how often the host was asked that.
func (f *far) count(script string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range f.asked {
		if name == script {
			n++
		}
	}
	return n
}

func newFar(targets int) (p *Promotion, site *farSite) {
	old, young := strings.Repeat("a", 40), strings.Repeat("b", 40)
	site = &farSite{was: old, commit: young, live: old, epoch: 6, answers: map[string]string{}, failures: map[string]error{}}
	artifact := Artifact{Name: "x", Flake: ".#x", Binary: "bin/x", Link: "/opt/x"}
	p = &Promotion{
		Plan: Plan{App: "app", Branch: "main", Build: Site{Host: "grind", Repo: "/srv"}, Manifest: "/tmp/app.env", Confirm: Duration(2 * time.Minute), Settle: Duration(settle),
			Artifacts: []Artifact{artifact}, Restart: []string{"x"}, OnUnhealthy: "revert", Keep: 5,
			Checks: []Check{{Name: "c", From: "target", URLs: []string{"http://127.0.0.1/"}, Status: 200, Successes: 1,
				Interval: Duration(time.Second), Timeout: Duration(20 * time.Second), Deadline: Duration(time.Minute)}}},
		Build: &far{name: "grind", site: site}, Attempt: 1, Recall: func(string) *Release { return new(Release) },
		Note: func(string, string) {}, Line: func(string, string) {},
	}
	for i := range targets {
		name := fmt.Sprint("prod", i)
		p.Plan.Targets = append(p.Plan.Targets, Site{Host: name, Repo: "/srv"})
		p.Targets = append(p.Targets, &far{name: name, site: site})
	}
	return p, site
}

// trips is how many round trips fn takes, one after the other.
func trips(t *testing.T, fn func() error) int {
	t.Helper()
	began := time.Now()
	if err := fn(); err != nil {
		t.Fatal(err)
	}
	return int(time.Since(began) / trip)
}

// firstQuestion is what the first question on a connection takes more than the next ones: a
// session is opened, and a shell asked for.
const firstQuestion = 2

// TestRoundTrips counts what a promotion waits for, one after the other. Each number is
// the least: what is asked in a step depends on what the one before was answered. With one
// target it is thirteen in all beside the handshakes.
func TestRoundTrips(t *testing.T) {
	for targets, more := range map[int]int{1: 0, 3: 1} {
		synctest.Test(t, func(t *testing.T) {
			p, _ := newFar(targets)
			ctx := t.Context()
			var wait func()
			all := firstQuestion
			for _, step := range []struct {
				name string
				want int
				fn   func() error
			}{
				{"survey", 1, func() error {
					pinned, looks, err := Survey(ctx, p, "", "")
					p.Plan.Commit = pinned.Commit
					if id := AlreadyLive(ctx, p, looks, nil); id != "" {
						t.Errorf("%s is said to be live", id)
					}
					return err
				}},
				// The first target is asked before the others; what leads to the commit is
				// asked beside it.
				{"hold", 1 + more, func() error {
					p.ID, wait = "1", p.Foresee(ctx)
					_, err := Take(ctx, p, p.Targets, func(*Holder) bool { return false })
					return err
				}},
				{"sync", 1, func() error { return Sync(ctx, p) }},
				{"verify", 0, func() error { return Verify(ctx, p) }},
				{"build", 1, func() error { return Build(ctx, p) }},
				// What is lacking, and its way there; what that comes to is guessed.
				{"copy", 2, func() error { return Copy(ctx, p) }},
				{"apply", 1 + int(settle/trip), func() error { return Apply(ctx, p) }},
				// The check asks for a connection, and over it. Of several targets none is
				// confirmed before all were looked at. It is dialled for while they settle.
				{"health", 2 + 1 + more, func() error { return Health(ctx, p) }},
				{"leave", 1, func() error { wait(); p.Hold.Release(ctx, "healthy", true); return nil }},
			} {
				got := trips(t, step.fn)
				if got != step.want {
					t.Errorf("%d targets: %s takes %d round trips, want %d", targets, step.name, got, step.want)
				}
				all += got
			}
			if all -= int(settle / trip); targets == 1 && all != 13 {
				t.Errorf("it takes %d round trips in all beside the handshakes", all)
			}
			for _, host := range append([]Host{p.Build}, p.Targets...) {
				t.Logf("%s: %v", host.Name(), host.(*far).asked)
			}
		})
	}
}

// TestSeen: what was seen is used again only where nothing can have changed it.
func TestSeen(t *testing.T) {
	held := "6|20260101-000000-ccccccc|apply|3|2026-11-23T04:00:00Z||ana"
	for _, c := range []struct {
		name string
		// between is what happens between the survey and the hold.
		between func(*farSite)
		before  func(*farSite)
		again   int
	}{
		{"nothing happened", nil, nil, 0},
		{"another had the hold meanwhile", func(s *farSite) { s.epoch += 1 }, nil, 1},
		{"another had it then", nil, func(s *farSite) { s.hold = held }, 1},
		{"it is long ago", func(*farSite) { time.Sleep(seenFor) }, nil, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			p, site := newFar(1)
			if c.before != nil {
				c.before(site)
			}
			pinned, _, err := Survey(t.Context(), p, "", "")
			if err != nil {
				t.Fatal(err)
			}
			p.ID, p.Plan.Commit = "1", pinned.Commit
			if c.between != nil {
				c.between(site)
			}
			if _, err := Take(t.Context(), p, p.Targets, func(*Holder) bool { return true }); err != nil {
				t.Fatal(err)
			}
			if err := Sync(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			target, build := p.Targets[0].(*far), p.Build.(*far)
			if n := target.count("look.sh"); n != 1+c.again {
				t.Errorf("%s: the target was looked at %d times", c.name, n)
			}
			if n := target.count("sync.sh look"); n != 1+c.again {
				t.Errorf("%s: its checkout was looked at %d times", c.name, n)
			}
			if n := build.count("sync.sh look"); n != c.again {
				t.Errorf("%s: that of the build host was looked at %d times more", c.name, n)
			}
			// Whoever goes on in another run asks.
			p.Seen = new(Seen)
			if got := trips(t, func() error { return Verify(t.Context(), p) }); got != 1 {
				t.Errorf("%s: verify, in another run, takes %d round trips", c.name, got)
			}
		})
	}
}

// TestWindowDoesNotBegin: nothing is confirmed where the confirm window could not be
// opened, and the checks are not waited for.
func TestWindowDoesNotBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, site := newFar(1)
		p.Facts.Build = &Release{ID: "1", Commit: site.commit}
		p.Plan.Checks[0].Body, p.Plan.Checks[0].Deadline = "never", Duration(time.Hour)
		site.answers["extend.sh"] = "fenced=7|2|apply|3|2026-11-23T04:00:00Z||bea\n"
		began := time.Now()
		var lost *HoldLostError
		if err := Health(t.Context(), p); !errors.As(err, &lost) || time.Since(began) > 2*handshake {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		if target := p.Targets[0].(*far); target.count("confirm.sh") > 0 {
			t.Errorf("it was asked %v", target.asked)
		}
	})
}
