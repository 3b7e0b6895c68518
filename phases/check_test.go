package phases

import (
	"context"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// quick is a check with short times.
func quick(url ...string) Check {
	return Check{
		Name: "c", URLs: url, Status: 200, Successes: 2, Interval: Duration(5 * time.Millisecond),
		Timeout: Duration(500 * time.Millisecond), Deadline: Duration(800 * time.Millisecond),
	}
}

// unwatched is for checks that nobody looks on.
func unwatched(*Result, int) {}

func ask1(t *testing.T, c Check) Result {
	t.Helper()
	return c.until(t.Context(), new(net.Dialer).DialContext, unwatched)
}

func answering(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL
}

func TestCheck(t *testing.T) {
	ok := answering(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/health":
			_, _ = w.Write([]byte("ok sha=abc"))
		case "/moved":
			http.Redirect(w, r, "https://example.org/there", http.StatusPermanentRedirect)
		case "/slow":
			<-r.Context().Done()
		default:
			http.Error(w, "gone \x1b[31m", http.StatusInternalServerError)
		}
	})
	with := func(path string, change func(*Check)) Check {
		c := quick(ok + path)
		if change != nil {
			change(&c)
		}
		return c
	}
	cases := []struct {
		name  string
		check Check
		want  Verdict
		last  string
	}{
		{"up", with("/health", nil), Passed, ""},
		{"body", with("/health", func(c *Check) { c.Body = "sha=abc" }), Passed, ""},
		{"the old process", with("/health", func(c *Check) { c.Body = "sha=def" }), Failed, `without "sha=def"`},
		{"wrong status", with("/none", nil), Failed, "answered 500, want 200"},
		{"redirect is not followed", with("/moved", nil), Failed, "answered 308, want 200"},
		{"redirect", with("/moved", func(c *Check) { c.Status, c.Location = 308, "https://example.org/there" }), Passed, ""},
		{"redirect elsewhere", with("/moved", func(c *Check) { c.Status, c.Location = 308, "https://example.org/login" }), Failed, "leads to"},
		{"too slow", with("/slow", func(c *Check) { c.Timeout = Duration(50 * time.Millisecond) }), Failed, "did not answer within 50ms"},
		{"nobody there", quick("http://127.0.0.1:1/"), Failed, "refused"},
		{"any of", func() Check { return quick("http://127.0.0.1:1/", ok+"/health") }(), Passed, ""},
		{"none of", func() Check { return quick("http://127.0.0.1:1/", ok+"/none") }(), Failed, "refused"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := ask1(t, c.check)
			if r.Verdict != c.want || !strings.Contains(r.Last, c.last) {
				t.Errorf("got %s (%+v)", r, r)
			}
			if c.want == Passed && r.Attempts < 2 {
				t.Errorf("it passed after %d attempts", r.Attempts)
			}
			if strings.ContainsRune(r.String(), 0x1b) {
				t.Errorf("%q has an escape in it", r)
			}
		})
	}
}

// One good answer between bad ones is no health.
func TestCheckFlapping(t *testing.T) {
	var n atomic.Int32
	url := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1)%2 == 0 {
			w.WriteHeader(503)
		}
	})
	if r := ask1(t, quick(url)); r.Verdict != Failed || r.Limit == "" {
		t.Errorf("got %s", r)
	}
}

func TestCheckSlowStart(t *testing.T) {
	began := time.Now()
	url := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		if time.Since(began) < 400*time.Millisecond {
			w.WriteHeader(503)
		}
	})
	c := quick(url)
	c.StartPeriod = Duration(time.Second)
	if r := ask1(t, c); r.Verdict != Passed {
		t.Errorf("got %s", r)
	}
}

// Checks are asked in the interval, however long an answer takes; and one at a time.
func TestCheckInterval(t *testing.T) {
	for answer, want := range map[time.Duration]time.Duration{
		300 * time.Millisecond: 1300 * time.Millisecond,
		2 * time.Second:        4 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			server := http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(answer) })}
			connections := make(pipes)
			go func() { _ = server.Serve(connections) }()
			defer server.Close()
			c := Check{Name: "c", URLs: []string{"http://127.0.0.1/"}, Status: 200, Successes: 2, Interval: Duration(time.Second),
				Timeout: Duration(3 * time.Second), Deadline: Duration(time.Minute)}
			began := time.Now()
			if r := c.until(t.Context(), connections.dial, unwatched); r.Verdict != Passed {
				t.Errorf("got %s", r)
			}
			if took := time.Since(began); took != want {
				t.Errorf("with answers that take %s it passes after %s, want %s", answer, took, want)
			}
		})
	}
}

// pipes are connections without a network.
type pipes chan net.Conn

func (p pipes) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	p <- far
	return near, nil
}

func (p pipes) Accept() (net.Conn, error) {
	if c, open := <-p; open {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// A host that cannot be reached says nothing about the release.
func TestCheckInconclusive(t *testing.T) {
	c := quick("http://127.0.0.1:1/")
	r := c.until(t.Context(), func(context.Context, string, string) (net.Conn, error) { return nil, lostError{} }, unwatched)
	if r.Verdict != Inconclusive {
		t.Errorf("got %s", r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := c.until(ctx, new(net.Dialer).DialContext, unwatched); r.Verdict != Inconclusive {
		t.Errorf("an interrupted check came to %s", r)
	}
}

// A name that nobody knows, and a network without a way there, say nothing of the
// release.
func TestCheckUnreachable(t *testing.T) {
	for _, err := range []error{
		&net.DNSError{Err: "no such host", Name: "nowhere.invalid"},
		&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)},
		&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EHOSTUNREACH)},
	} {
		r := quick("http://nowhere.invalid/").until(t.Context(), func(context.Context, string, string) (net.Conn, error) { return nil, err }, unwatched)
		if r.Verdict != Inconclusive {
			t.Errorf("%v: got %s", err, r)
		}
	}
	refused := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	r := quick("http://127.0.0.1/").until(t.Context(), func(context.Context, string, string) (net.Conn, error) { return nil, refused }, unwatched)
	if r.Verdict != Failed {
		t.Errorf("a refused connection came to %s", r)
	}
}

// A name server that never answers is no verdict either; a server that was reached
// and says nothing is one.
func TestCheckSilence(t *testing.T) {
	r := quick("http://127.0.0.1/").until(t.Context(), func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}, unwatched)
	if r.Verdict != Inconclusive {
		t.Errorf("never reached: got %s", r)
	}
	c := quick(answering(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	c.Timeout = Duration(50 * time.Millisecond)
	if r := ask1(t, c); r.Verdict != Failed {
		t.Errorf("reached, and silent: got %s", r)
	}
}

// Of several URLs one that cannot be asked leaves it open, in whatever order.
func TestCheckAnyOfUndecided(t *testing.T) {
	bad := answering(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusInternalServerError) })
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		if strings.HasPrefix(addr, "nowhere") {
			return nil, &net.DNSError{Err: "no such host", Name: addr}
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	for _, urls := range [][]string{{bad, "http://nowhere.invalid/"}, {"http://nowhere.invalid/", bad}} {
		if r := quick(urls...).until(t.Context(), dial, unwatched); r.Verdict != Inconclusive || !strings.Contains(r.Last, "answered 500") {
			t.Errorf("%v: got %s", urls, r)
		}
	}
}

// What was answered after the start period counts, also if the last probe could
// not be sent.
func TestCheckLastCannotBeAsked(t *testing.T) {
	bad := answering(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusInternalServerError) })
	for start, want := range map[time.Duration]Verdict{0: Failed, 200 * time.Millisecond: Inconclusive} {
		var asked atomic.Int32
		c := quick(bad)
		c.StartPeriod = Duration(start)
		r := c.until(t.Context(), func(ctx context.Context, network, addr string) (net.Conn, error) {
			if asked.Add(1) > 5 {
				return nil, lostError{}
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		}, unwatched)
		if r.Verdict != want {
			t.Errorf("start period %s: got %s", start, r)
		}
	}
}

// A header tells the new process from the old one as well as a body does.
func TestCheckHeader(t *testing.T) {
	url := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("X-Release", "other")
		w.Header().Add("X-Release", "dc8876b")
	})
	for header, want := range map[string]Verdict{
		"X-Release: dc8876b": Passed, "x-release:dc8876b": Passed, "X-Release: dc": Failed, "X-None: dc8876b": Failed,
	} {
		c := quick(url)
		c.Header = header
		r := ask1(t, c)
		if r.Verdict != want {
			t.Errorf("%s: got %s", header, r)
		}
		if want == Failed && !strings.Contains(r.Last, "want \"d") {
			t.Errorf("%s: it says %q", header, r.Last)
		}
	}
}

type lostError struct{}

func (lostError) Error() string { return "lost" }
func (lostError) Lost() bool    { return true }

func TestCheckTLS(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(s.Close)
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	url := "https://example.com:" + port + "/" // a name in the test certificate
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	cases := []struct {
		name   string
		change func(*Check)
		want   Verdict
	}{
		{"not trusted", func(*Check) {}, Failed},
		{"trusted", func(c *Check) { c.CA = ca }, Passed},
		{"not checked", func(c *Check) { c.Insecure = true }, Passed},
		{"another name", func(c *Check) { c.CA, c.URLs = ca, []string{"https://example.net:" + port} }, Failed},
		{"no certificate", func(c *Check) { c.CA = "nonsense" }, Inconclusive},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			check := quick(url)
			check.Resolve = "127.0.0.1"
			c.change(&check)
			if r := ask1(t, check); r.Verdict != c.want {
				t.Errorf("got %s", r)
			}
		})
	}
}

func TestExpand(t *testing.T) {
	p := &Promotion{ID: "id1", Facts: Facts{Build: &Release{Commit: "0123456789abcdef"}}}
	c := p.expand(Check{URLs: []string{"http://x/${sha}"}, Body: "${short_sha}", Location: "/${id}"})
	if c.URLs[0] != "http://x/0123456789abcdef" || c.Body != "0123456" || c.Location != "/id1" {
		t.Errorf("got %+v", c)
	}
}

func TestVerdictText(t *testing.T) {
	for v := Passed; v <= Failed; v++ {
		text, err := v.MarshalText()
		var again Verdict
		if err != nil || again.UnmarshalText(text) != nil || again != v {
			t.Errorf("%d became %q, %v, %d", v, text, err, again)
		}
	}
	if err := new(Verdict).UnmarshalText([]byte("fine")); err == nil {
		t.Error("an unknown verdict was taken")
	}
	var lost interface{ Lost() bool }
	if !errors.As(error(lostError{}), &lost) {
		t.Error("a lost connection is not told by its method")
	}
}
