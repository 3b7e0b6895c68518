package phases

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestSkew: what the way there took is no skew, however it was shared between there
// and back, and nor is what the host took to answer.
func TestSkew(t *testing.T) {
	at := func(seconds float64) time.Time {
		return time.Unix(1_800_000_000, 0).Add(time.Duration(seconds * float64(time.Second)))
	}
	for _, c := range []struct {
		name                         string
		sent, began, ended, received float64
		ahead, doubt                 time.Duration
	}{
		{"alike", 0, 1, 3, 4, 0, time.Second},
		{"ahead", 0, 601, 603, 4, 10 * time.Minute, time.Second},
		{"behind", 600, 1, 9, 610, -10 * time.Minute, time.Second},
		{"all of the way was there", 0, 4, 4, 4, 2 * time.Second, 2 * time.Second},
	} {
		ahead, doubt := skew(at(c.sent), at(c.received), at(c.began), at(c.ended))
		if ahead != c.ahead || doubt != c.doubt {
			t.Errorf("%s: %s ahead, give or take %s, want %s and %s", c.name, ahead, doubt, c.ahead, c.doubt)
		}
	}
	if ahead, _ := skew(at(0), at(1), clock("x"), clock("")); ahead != 0 {
		t.Errorf("a host that does not know the time is %s ahead", ahead)
	}
	if got := clock("1800000000.250000000"); got.Sub(at(0)) != 250*time.Millisecond {
		t.Errorf("it is %s", got)
	}
	if got := clock("1800000000.%N"); !got.Equal(at(0)) {
		t.Errorf("without fractions it is %s", got)
	}
}

// TestInspectCheckout: each thing that would keep a promotion off a checkout is seen,
// also several at once, and nothing in it is touched.
func TestInspectCheckout(t *testing.T) {
	r := newRepos(t)
	two, three := r.commits[1], r.commits[2]
	for _, c := range []struct {
		name  string
		spoil func(dir string)
		want  []Reason
	}{
		{"clean", func(string) {}, nil},
		{"behind", func(dir string) { r.git(dir, "reset", "-q", "--hard", two) }, nil},
		{"none", func(dir string) { os.RemoveAll(filepath.Join(dir, ".git")) }, []Reason{NoCheckout}},
		{"dirty, and elsewhere", func(dir string) {
			r.git(dir, "checkout", "-q", "-b", "topic")
			os.WriteFile(filepath.Join(dir, "file"), nil, 0o600)
		}, []Reason{WrongBranch, Dirty}},
		{"ahead", func(dir string) { r.commit(dir, "mine") }, []Reason{Diverged}},
	} {
		dir := r.clone(three)
		c.spoil(dir)
		before := mtimes(t, dir)
		i := r.inspect(dir)
		var got []Reason
		for _, refusal := range i.Checkout.Refusals {
			got = append(got, refusal.Reason)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: it is refused for %q, want %q", c.name, got, c.want)
		}
		if c.name != "none" && i.Checkout.Tip != three {
			t.Errorf("%s: the origin is at %q, want %s", c.name, i.Checkout.Tip, three)
		}
		if after := mtimes(t, dir); after != before {
			t.Errorf("%s: it was\n%s\nand is\n%s", c.name, before, after)
		}
	}
}

// TestInspectOrigin: an origin that is away is told, without its password.
func TestInspectOrigin(t *testing.T) {
	r := newRepos(t)
	dir := r.clone(r.commits[2])
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	r.git(dir, "remote", "set-url", "origin", "http://ana:canary@"+address+"/x.git")
	c := r.inspect(dir).Checkout
	if c.Unreached == "" || c.Origin != "http://"+address+"/x.git" || strings.Contains(c.Unreached+c.Origin, "canary") {
		t.Errorf("the origin is %q: %q", c.Origin, c.Unreached)
	}
	r.git(dir, "remote", "set-url", "origin", r.origin)
	r.git(r.origin, "branch", "-m", "main", "trunk")
	if c = r.inspect(dir).Checkout; c.Unreached != "" || c.Tip != "" {
		t.Errorf("an origin without the branch is at %q: %q", c.Tip, c.Unreached)
	}
}

func (r *repos) inspect(dir string) *Inspection {
	r.t.Helper()
	plan := &Plan{App: "app", Branch: "main", Manifest: filepath.Join(r.t.TempDir(), "app.env")}
	i, err := Inspect(r.t.Context(), &local{name: "prod"}, plan, Site{Host: "prod", Repo: dir}, false)
	if err != nil {
		r.t.Fatal(err)
	}
	if i.Skew.Abs() > i.Doubt || i.Free["/tmp"] == 0 || i.Free["/var/lib/rel"] == 0 {
		r.t.Errorf("the host is %+v", i)
	}
	return i
}

// mtimes are all files below dir, and when each was changed.
func mtimes(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil {
			b.WriteString(path + " " + info.ModTime().String() + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestInspectCaches asks caches that answer, refuse and are not there, with a netrc
// that knows one of them.
func TestInspectCaches(t *testing.T) {
	open := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/c/nix-cache-info" {
			http.NotFound(w, r)
		}
	}))
	defer open.Close()
	private := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "ana" || password != "canary" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer private.Close()
	at := func(s *httptest.Server, host string) string { return strings.Replace(s.URL, "127.0.0.1", host, 1) }
	dir := t.TempDir()
	netrc := filepath.Join(dir, "netrc")
	if err := os.WriteFile(netrc, []byte("machine localhost\n\tlogin ana password canary\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	settings := "experimental-features = nix-command flakes\nnetrc-file = " + netrc + "\ntrusted-public-keys = cache.example-1:AAAA other:BBBB\nsubstituters = " +
		open.URL + "/c/?priority=3 s3://bucket " + at(private, "localhost") + " " + private.URL + " http://ana:canary@127.0.0.1:1/x"
	for _, command := range []string{"config show", "show-config"} {
		bin := t.TempDir()
		nix := "#!/bin/sh\ncase $* in\n--version) echo 'nix (Nix) 2.31.2' ;;\n*' eval '*) echo 1 ;;\n*' " + command + "') cat <<'END'\n" + settings + "\nEND\n;;\n*) exit 1 ;;\nesac\n"
		if err := os.WriteFile(filepath.Join(bin, "nix"), []byte(nix), 0o700); err != nil {
			t.Fatal(err)
		}
		host := &local{name: "grind", env: []string{"PATH=" + bin + ":" + os.Getenv("PATH")}}
		i, err := Inspect(t.Context(), host, &Plan{App: "app", Branch: "main", Manifest: dir + "/x"}, Site{Host: "grind"}, true)
		if err != nil {
			t.Fatal(err)
		}
		b := i.Builder
		if b.Nix != "nix (Nix) 2.31.2" || !b.Flakes || !slices.Equal(b.Keys, []string{"cache.example-1", "other"}) {
			t.Errorf("%s: it builds with %+v", command, b)
		}
		want := map[string]Cache{
			open.URL + "/c/?priority=3": {Status: 200, Credentials: "no"}, "s3://bucket": {},
			at(private, "localhost"): {Status: 200, Credentials: "yes"}, private.URL: {Status: 401, Credentials: "no"},
			"http://127.0.0.1:1/x": {Credentials: "no"},
		}
		for _, c := range b.Caches {
			w, known := want[c.Address]
			if !known || c.Status != w.Status || c.Credentials != w.Credentials || strings.Contains(c.Said, "canary") {
				t.Errorf("%s: a cache is %+v, want %+v", command, c, w)
			}
		}
		if len(b.Caches) != len(want) {
			t.Errorf("%s: %d caches, want %d", command, len(b.Caches), len(want))
		}
	}
}

// TestInspectKeys: a promotion's key in authorized_keys is told from all others.
func TestInspectKeys(t *testing.T) {
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	text := "ssh-ed25519 AAAA ana@mbp\nrestrict,command=\"x\" ssh-ed25519 BBBB rel-one-use app 20260101-000000-abcdef0 new\n" +
		"ssh-ed25519 CCCC rel-one-use app-2 20260101-000000-abcdef1\n"
	if err := os.WriteFile(filepath.Join(home, ".ssh", "authorized_keys"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-2 * time.Hour)
	manifest := filepath.Join(home, "app.env")
	for _, name := range []string{".rel-old", "app.env.abc123", ".rel-new", "app.env"} {
		if err := os.WriteFile(filepath.Join(home, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if name != ".rel-new" {
			if err := os.Chtimes(filepath.Join(home, name), old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	host := &local{name: "prod", env: []string{"HOME=" + home}}
	i, err := Inspect(t.Context(), host, &Plan{App: "app", Branch: "main", Manifest: manifest}, Site{Host: "prod"}, false)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(i.OneUse, []string{"20260101-000000-abcdef0"}) {
		t.Errorf("the keys that are left are of %q", i.OneUse)
	}
	here := slices.DeleteFunc(i.Temporary, func(name string) bool { return !strings.HasPrefix(name, home) })
	if !slices.Equal(here, []string{home + "/.rel-old", home + "/app.env.abc123"}) {
		t.Errorf("the files that are left are %q", here)
	}
}

// TestFull: a host is refused for each folder that is too full, and for no other.
func TestFull(t *testing.T) {
	i := &Inspection{Free: map[string]int64{"/tmp": 1, "/var/lib/rel": leastRoom, storeDir: 1}}
	if full := i.Full("prod"); len(full) != 1 || full[0].Thing != "/tmp" {
		t.Errorf("a target is refused for %v", full)
	}
	i.Builder = new(Builder)
	if full := i.Full("grind"); len(full) != 2 || full[0].Thing != storeDir {
		t.Errorf("a build host is refused for %v", full)
	}
}

// TestRefusals: all that is wrong with a target is told, not only the first.
func TestRefusals(t *testing.T) {
	plan := &Plan{Restart: []string{"web", "worker"}}
	l := &Look{Root: true, Systemd: true, Units: map[string]Unit{"web": {"LoadState": "loaded"}}, Occupied: []string{"/a"},
		ByHand: []string{"/a", "/b"}, NoFolder: []string{"/c"}, Pending: "p", Unguarded: true, Live: "l"}
	var reasons []Reason
	for _, r := range l.Refusals("prod", plan) {
		reasons = append(reasons, r.Reason)
		if r.Reason == Drift && !slices.Equal(r.Items, []string{"/b"}) || r.Reason == Unconfirmed && r.Items[0] != "l" {
			t.Errorf("it is refused for %v", r)
		}
	}
	if want := []Reason{NoNix, NoUnit, Occupied, Drift, NoFolder, Unconfirmed, NoRoom}; !slices.Equal(reasons, want) {
		t.Errorf("it is refused for %q, want %q", reasons, want)
	}
	if list := (&Look{User: "deploy"}).Refusals("prod", plan); len(list) != 1 || list[0].Reason != NotRoot {
		t.Errorf("who is not root is refused for %v", list)
	}
}

// TestProbe: before there is a release a check is asked for what does not name one.
func TestProbe(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("sha=abc")) }))
	defer s.Close()
	check := Check{URLs: []string{s.URL}, Status: 200, Body: "sha=${sha}", Timeout: Duration(5 * time.Second)}
	probe := func(c Check, commit string) (bool, error) { return Probe(context.Background(), c, nil, "id", commit) }
	if _, err := probe(check, ""); err != nil {
		t.Errorf("with nothing live: %v", err)
	}
	if _, err := probe(check, "abc"); err != nil {
		t.Errorf("with what it says live: %v", err)
	}
	if undecided, err := probe(check, "def"); err == nil || undecided {
		t.Errorf("with another release live: %t, %v", undecided, err)
	}
	if check.Body != "sha=${sha}" {
		t.Errorf("the plan's check asks for %q now", check.Body)
	}
	check.URLs = []string{s.URL + "/${id}"}
	if _, err := probe(check, ""); err == nil {
		t.Error("it asked for a release that is not there")
	}
	if undecided, err := probe(Check{URLs: []string{"http://nowhere.invalid/"}, Status: 200, Timeout: Duration(5 * time.Second)}, "abc"); err == nil || !undecided {
		t.Errorf("a name that nobody knows: %t, %v", undecided, err)
	}
}

// TestReach: who does not get to an sshd sees no key.
func TestReach(t *testing.T) {
	keys, _, err := Reach(t.Context(), &local{name: "grind"}, "127.0.0.1:1", "ssh-ed25519")
	if err != nil || len(keys) > 0 {
		t.Errorf("it sees %q: %v", keys, err)
	}
}
