package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"choir.chat/rel/cmd/rel/config"
	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
	"choir.chat/rel/remote"
)

func TestNixHole(t *testing.T) {
	for said, want := range map[string]string{
		"nix (Nix) 2.8.0":                       "2.34.5",
		"nix (Nix) 2.27.1":                      "2.34.5",
		"nix-store (Nix) 2.28.5":                "2.28.6",
		"nix (Nix) 2.28.6":                      "",
		"nix (Nix) 2.30.3":                      "2.30.4",
		"nix (Nix) 2.34.0":                      "2.34.5",
		"nix (Nix) 2.34":                        "2.34.5",
		"nix (Nix) 2.34.5":                      "",
		"nix (Nix) 2.35.0pre20260901_abcdef0":   "",
		"nix (Nix) 3.0.0":                       "",
		"nix (Nix) 1.11.16":                     "2.34.5",
		"nix (Determinate Nix 3.11.2) 2.31.1":   "2.31.4",
		"nix (Determinate Nix 3.16.0) 2.34.6":   "",
		"nix (Lix, like Nix) 2.93.3":            "",
		"nix of some kind that nobody knows":    "",
		"nix (Nix) 99999999999999999999.0":      "",
		"nix (Nix) 2.31.4-with-patches-of-ours": "",
	} {
		if got := nixHole(said); got != want {
			t.Errorf("%s: the hole is closed in %q, want %q", said, got, want)
		}
	}
}

// one is the only finding; how it stands, and its words.
func one(t *testing.T, f *findings) (how condition, words string) {
	t.Helper()
	if len(f.list) != 1 {
		t.Fatalf("there are %d findings: %+v", len(f.list), f.list)
	}
	found := f.list[0]
	if (found.Status == isOK) != (found.Cure == "") {
		t.Errorf("%s: %q has the cure %q", found.Status, found.Text, found.Cure)
	}
	return found.Status, found.Text + " | " + found.Cure
}

func TestJudgeCache(t *testing.T) {
	keys := []string{"cache.example-1"}
	for _, c := range []struct {
		cache phases.Cache
		how   condition
		says  string
	}{
		{phases.Cache{Address: "https://cache.example/x", Status: 200, Credentials: "no"}, isOK, "answers"},
		{phases.Cache{Address: "https://other.example?trusted=1", Status: 200, Credentials: "no"}, isOK, "answers"},
		{phases.Cache{Address: "https://other.example", Status: 200, Credentials: "no"}, warning, "no trusted-public-keys is named after other.example"},
		{phases.Cache{Address: "https://cache.example", Status: 401, Credentials: "no"}, warning, "netrc has none for cache.example | ssh grind 'nix --extra"},
		{phases.Cache{Address: "https://cache.example", Status: 403, Credentials: "yes"}, warning, "does not accept the credentials"},
		{phases.Cache{Address: "https://cache.example", Status: 401, Credentials: "unreadable"}, warning, "cannot read netrc"},
		{phases.Cache{Address: "https://cache.example/a/", Said: "curl: (28) timed out", Credentials: "no"}, warning,
			"timed out | ssh grind 'curl -sS -i --max-time 10 https://cache.example/a/nix-cache-info'"},
		{phases.Cache{Address: "https://cache.example", Status: 404, Credentials: "no"}, warning, "answers 404"},
		{phases.Cache{Address: "s3://bucket"}, isOK, "is not asked"},
		{phases.Cache{Address: "https://x;reboot", Said: "no", Credentials: "no"}, warning, `'curl -sS -i --max-time 10 '\''https://x;reboot/nix-cache-info'\'''`},
	} {
		f := &findings{host: "grind"}
		judgeCache(f, &c.cache, keys)
		if how, words := one(t, f); how != c.how || !strings.Contains(words, c.says) {
			t.Errorf("%+v: %s %s, want %s %s", c.cache, how, words, c.how, c.says)
		}
	}
}

func TestJudgeClock(t *testing.T) {
	now := time.Now()
	host := func(skew, doubt time.Duration) *examined {
		return &examined{inspection: &phases.Inspection{Skew: skew, Doubt: doubt}}
	}
	none, recorded := machine.History{}, machine.NewHistory([]*machine.Past{{Updated: now.Add(time.Hour)}})
	for _, c := range []struct {
		name    string
		hosts   []*examined
		history machine.History
		how     condition
	}{
		{"nobody was asked", []*examined{{}}, none, isOK},
		{"alike", []*examined{host(0, time.Second), host(-4*time.Second, 0)}, none, isOK},
		{"one host is wrong", []*examined{host(time.Hour, time.Second), host(0, 0)}, none, isOK},
		{"all hosts differ", []*examined{host(time.Hour, time.Second), host(10*time.Minute, 0), {}}, none, warning},
		{"all differ, each in its way", []*examined{host(time.Hour, time.Second), host(-time.Hour, 0)}, none, isOK},
		{"a slow network", []*examined{host(8*time.Second, 4*time.Second), host(9*time.Second, 5*time.Second)}, none, isOK},
		{"before the journal's end", []*examined{host(0, 0)}, recorded, warning},
	} {
		f := new(findings)
		judgeClock(f, c.hosts, c.history, now)
		if how, words := one(t, f); how != c.how {
			t.Errorf("%s: %s %s, want %s", c.name, how, words, c.how)
		}
	}
	f := &findings{host: "prod"}
	p := &examined{host: &host2, site: phases.Site{Become: "sudo"}, inspection: &phases.Inspection{Skew: -6 * time.Second, Doubt: 100 * time.Millisecond}}
	p.judgeInspection(f, &phases.Plan{App: "app"}, 0)
	for _, found := range f.list {
		if found.Check == "clock" && (found.Status != warning || found.Cure != "ssh prod 'sudo timedatectl set-ntp true'") {
			t.Errorf("a clock that is behind is %+v", found)
		}
	}
}

// host2 is a host that nobody connects to.
var host2 = host{name: "prod"}

func TestJudgeView(t *testing.T) {
	key := func(text string) string { return "ssh-ed25519 " + base64.StdEncoding.EncodeToString([]byte(text)) }
	l := login{hostKey: key("a")}
	for _, c := range []struct {
		view view
		via  string
		how  condition
		says string
	}{
		{view{keys: []string{key("b"), key("a")}}, "", isOK, "sees the same host key"},
		{view{keys: []string{key("b")}}, "", failure, "somebody is in between | ssh grind 'ssh-keyscan -T 8 -p 22 10.0.0.2'"},
		{view{}, "", warning, "grind does not reach 10.0.0.2:22: what"},
		{view{said: "no route"}, "", warning, "(no route)"},
		{view{said: "no route"}, phases.Direct, failure, "(no route), and copy.via"},
		{view{said: "no route"}, phases.Relayed, isOK, "goes through this machine"},
		{view{err: &remote.LostError{Host: "grind", Err: errors.New("x")}}, "", failure, "the connection was lost"},
	} {
		f := &findings{host: "prod"}
		c.view.from, c.view.address = "grind", "10.0.0.2:22"
		judgeView(f, &c.view, l, c.via)
		if how, words := one(t, f); how != c.how || !strings.Contains(words, c.says) {
			t.Errorf("%+v: %s %s, want %s %s", c.view, how, words, c.how, c.says)
		}
	}
	for configured, want := range map[string]string{
		"": "10.0.0.9:2222", "10.0.0.1": "10.0.0.1:22", "root@10.0.0.1": "10.0.0.1:22", "root@prod:23": "prod:23", "[::1]:24": "[::1]:24", "::1": "[::1]:22", "root@[::1]": "[::1]:22",
	} {
		if got := fromBuild(configured, "10.0.0.9:2222"); got != want {
			t.Errorf("%q is looked for at %q, want %q", configured, got, want)
		}
	}
}

// TestHostileNames: nothing that a host says becomes part of a command that the
// operator is to type, unless no shell would take it for anything else.
func TestHostileNames(t *testing.T) {
	const evil = "x';reboot;'"
	p := &examined{host: &host2, look: &phases.Look{}, inspection: &phases.Inspection{OneUse: []string{evil}, Temporary: []string{"/tmp/" + evil, "/tmp/.rel-a"}},
		traces: &phases.Traces{Temporary: []string{"/var/" + evil}, Unknown: []string{evil}, Timers: []string{evil + ".timer"}}}
	plan := &phases.Plan{App: "app"}
	f := &findings{host: "prod"}
	p.judgeUploads(f, plan)
	p.judgeTraces(f, plan, machine.History{})
	for _, r := range []*phases.Refusal{{Reason: phases.Occupied, Items: []string{"/x" + evil}}, {Reason: phases.NoFolder, Items: []string{"$(reboot)", "-rf"}},
		{Reason: phases.Unconfirmed, Thing: evil, Items: []string{evil}}, {Reason: phases.NoUnit, Items: []string{evil}}, {Reason: phases.Drift, Items: []string{evil}}} {
		r.Host = "prod"
		f.refused(r, "sudo")
	}
	judgeHold(f, &phases.Holder{Promotion: evil, Operator: "\x1b[31m" + evil, Silent: phases.Duration(time.Hour)})
	warnings := 0
	for _, found := range f.list {
		if found.Status == warning {
			warnings++
		}
		if strings.Contains(found.Cure, "reboot") || strings.Contains(found.Text, "\x1b") {
			t.Errorf("%s: %q has the cure %q", found.Check, found.Text, found.Cure)
		}
	}
	if warnings != 5 {
		t.Errorf("%d warnings, want 5: %+v", warnings, f.list)
	}
}

// TestJudgeTraces: what belongs to a promotion that is at work, or that can be gone on
// with, is no leftover.
func TestJudgeTraces(t *testing.T) {
	const open, over, gone, timer = "20260101-000000-aaaaaaa", "20260101-000001-bbbbbbb", "20260101-000002-ccccccc", "rel-guard-app-20260101-000002-ccccccc-7.timer"
	history := machine.NewHistory([]*machine.Past{{ID: open, State: "copied"}, {ID: over, State: "aborted"}})
	p := &examined{host: &host2, look: &phases.Look{}, traces: &phases.Traces{Unknown: []string{gone}, Idle: []string{open, over, "20250101-000000-ddddddd"}, Timers: []string{timer}}}
	f := &findings{host: "prod"}
	p.judgeTraces(f, &phases.Plan{App: "app"}, history)
	cures := map[string]string{}
	for _, found := range f.list {
		cures[found.Check] = found.Cure
	}
	roots := "/nix/var/nix/gcroots/rel/app/"
	if want := "ssh prod 'rm -r " + roots + gone + " " + roots + over + "'"; cures["gc-roots"] != want {
		t.Errorf("the roots are let go with %q, want %q", cures["gc-roots"], want)
	}
	if want := "ssh prod 'systemctl stop " + timer + "'"; cures["timers"] != want || cures["leftovers"] != "" {
		t.Errorf("the cures are %q", cures)
	}
	p.look.Hold = &phases.Holder{Promotion: gone}
	f = &findings{host: "prod"}
	if p.judgeTraces(f, &phases.Plan{App: "app"}, history); f.has("timers") {
		t.Errorf("the timer of a promotion at work is a leftover: %+v", f.list)
	}
}

func TestJudgeChecks(t *testing.T) {
	check := phases.Check{Name: "login", URLs: []string{"https://os.choir.chat/a?b=1&c"}, Resolve: "127.0.0.1", CA: "pem", Timeout: phases.Duration(2 * time.Second)}
	wrong := errors.New("answered 500")
	for _, c := range []struct {
		probed probed
		how    condition
		says   string
	}{
		{probed{commit: "abcdef0123"}, isOK, "passes with abcdef0 live"},
		{probed{}, isOK, "nothing is live yet"},
		{probed{err: wrong}, isOK, "not there yet"},
		{probed{err: wrong, undecided: true, host: "prod"}, failure, "cannot be asked"},
		{probed{err: wrong, commit: "abcdef0123"}, failure, "| curl -sS -i --max-time 2 -k --resolve os.choir.chat:443:127.0.0.1 'https://os.choir.chat/a?b=1&c'"},
		{probed{err: wrong, commit: "abcdef0123", host: "prod"}, failure, `| ssh prod 'curl `},
	} {
		f := &findings{host: "prod"}
		c.probed.check = check
		judgeChecks(f, []probed{c.probed})
		if how, words := one(t, f); how != c.how || !strings.Contains(words, c.says) {
			t.Errorf("%+v: %s %s, want %s %s", c.probed, how, words, c.how, c.says)
		}
	}
}

// TestJudgeStore: a store that is refused is not spoken of twice.
func TestJudgeStore(t *testing.T) {
	f := &findings{host: "prod"}
	judgeStore(f, []*phases.Refusal{{Thing: "/nix/store"}}, 1<<20, 1<<30)
	if len(f.list) > 0 {
		t.Errorf("it is spoken of again: %+v", f.list)
	}
	judgeStore(f, []*phases.Refusal{{Thing: "/tmp"}}, 500<<20, 1<<30)
	if how, words := one(t, f); how != warning || !strings.Contains(words, "the live release has 1024 MiB") {
		t.Errorf("%s %s", how, words)
	}
}

// TestExitOf: the gravest failure decides, and warnings do not.
func TestExitOf(t *testing.T) {
	for _, c := range []struct {
		say  func(f *findings)
		want int
	}{
		{func(f *findings) { f.ok("a", "a"); f.warn("b", "c", "d") }, exitOK},
		{func(f *findings) { f.fail("a", "b", "c") }, exitRefused},
		{func(f *findings) { f.fail("a", "b", "c"); f.failed("reached", &remote.AuthError{Host: "prod"}) }, exitUnreachable},
		{func(f *findings) {
			f.failed("journal", &journal.DamagedError{})
			f.failed("reached", &remote.DialError{Host: "prod", Err: fs.ErrInvalid})
		}, exitDamaged},
		{func(f *findings) { f.failed("login", &remote.ExitError{Host: "prod"}) }, exitRefused},
		{func(f *findings) { f.failed("root", &remote.SudoError{Host: "prod"}) }, exitRefused},
		{func(f *findings) {
			f.failed("rel.toml", &config.Error{Path: "x"})
			f.failed("journal", &journal.DamagedError{})
		}, exitUsage},
	} {
		f := &findings{host: "prod"}
		c.say(f)
		if got := exitOf([]*findings{new(findings), f}); got != c.want {
			t.Errorf("%+v: exit %d, want %d", f.list, got, c.want)
		}
	}
}

// TestDoctorAlone: without a host, an agent or a rel.toml that is right, what is wrong
// here is told, all of it; and nothing is made.
func TestDoctorAlone(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("SSH_AUTH_SOCK", filepath.Join(dir, "gone"))
	config := filepath.Join(dir, "rel.toml")
	if err := os.WriteFile(config, []byte("app = \"app\"\nrepoo = \"/x\"\nbranhc = \"main\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "state", "journal.db")
	doctor := func(args ...string) outcome {
		var out, talk syncBuffer
		code := run(t.Context(), append([]string{"doctor", "--config", config, "--journal", file}, args...), stdio{out: &out, err: &talk})
		return outcome{code, out.String(), talk.String()}
	}
	o := doctor()
	o.mentions(t, "! warning agent", "nobody answers at "+dir+"/gone", `unknown key "repoo"; did you mean "repo"?`,
		"cure: ${EDITOR:-vi} +3 "+config, "2 failures, 1 warning, ")
	if o.code != exitUsage || o.err != "" {
		t.Errorf("exit %d: %s", o.code, o.err)
	}
	var document struct{ Findings []map[string]string }
	if err := json.Unmarshal([]byte(doctor("--json").out), &document); err != nil {
		t.Fatal(err)
	}
	for _, f := range document.Findings {
		if len(f) != 5 || f["check"] == "" || f["status"] == "" || f["text"] == "" {
			t.Errorf("a finding is %v", f)
		}
	}
	if _, err := os.Stat(filepath.Dir(file)); err == nil {
		t.Error("it made a folder for the journal")
	}
}

// TestInspectJournal: a journal that is damaged, on a full disk or of another run is
// told apart, and stays as it is.
func TestInspectJournal(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state", "journal.db")
	j := journal.New(file)
	inspect := func() map[string]finding {
		f, byCheck := new(findings), map[string]finding{}
		inspectJournal(f, j)
		for _, found := range f.list {
			byCheck[found.Check] = found
		}
		return byCheck
	}
	if got := inspect(); got["journal"].Status != isOK || got["claim"].Status != isOK {
		t.Errorf("before there is one: %+v", got)
	}
	if _, err := j.Append(journal.Event{Promotion: "20260101-000000-abcdef0", Kind: journal.Opened}); err != nil {
		t.Fatal(err)
	}
	name, release, err := j.Acquire()
	if err != nil {
		t.Fatal(err)
	}
	name("20260101-000000-abcdef0")
	got := inspect()
	if got["journal"].Status != isOK || !strings.HasPrefix(got["journal"].Text, "1 record, all sound") {
		t.Errorf("a sound one: %+v", got["journal"])
	}
	if got["claim"].Status != warning || !strings.Contains(got["claim"].Text, "promotion 20260101-000000-abcdef0 is running here") {
		t.Errorf("a claimed one: %+v", got["claim"])
	}
	release()
	if got := inspect(); got["claim"].Status != isOK {
		t.Errorf("once it is over: %+v", got["claim"])
	}
	// Whoever looks does not keep a run from claiming it afterwards.
	if _, release, err = j.Acquire(); err != nil {
		t.Fatal(err)
	}
	release()
	if err := syscall.Truncate(file, 5000); err != nil {
		t.Fatal(err)
	}
	if got := inspect(); got["journal"].Status != failure || got["journal"].code != exitDamaged || got["journal"].Cure == "" {
		t.Errorf("a damaged one: %+v", got["journal"])
	}
}
