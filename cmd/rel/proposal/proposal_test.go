package proposal

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"choir.chat/rel/cmd/rel/config"
	"choir.chat/rel/phases"
	"choir.chat/rel/remote"
)

const (
	hashA = "/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-"
	hashB = "/nix/store/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-"
)

func TestPackageOf(t *testing.T) {
	packages := []phases.Package{
		{Folder: "./web", Attribute: "default", Name: "shop-web", Program: "web", Output: hashA + "shop-web-2"},
		{Folder: "./web", Attribute: "web", Name: "shop-web", Program: "web", Output: hashA + "shop-web-2"},
		{Folder: "./api", Attribute: "server", Name: "api", Output: hashA + "api-1.2", Binaries: []string{"apid", "apictl"}},
		{Folder: "./tool", Attribute: "a.b", Name: "tool"},
		{Folder: "./one", Attribute: "worker", Name: "worker"},
		{Folder: "./two", Attribute: "worker", Name: "worker"},
		{Folder: ".", Attribute: "default", Name: "lonely"},
	}
	for _, c := range []struct {
		link, end     string
		want, binary  string
		sure          bool
		otherwiseThan string
	}{
		{"/opt/x/bin/web", hashA + "shop-web-2/bin/web", "./web#web", "bin/web", true, ""},
		{"/opt/x/bin/web", hashB + "shop-web-1/bin/web", "./web#web", "bin/web", true, ""},
		{"/opt/x/bin/frontend", hashB + "shop-web-1/bin/web", "./web#web", "bin/web", true, ""},
		{"/opt/x/bin/web", "", "./web#web", "bin/web", true, ""},
		{"/opt/x/bin/apid", "", "./api#server", "bin/apid", true, ""},
		{"/opt/x/bin/x", hashB + "api-1.1/sbin/apid", "./api#server", "sbin/apid", true, ""},
		{"/opt/x/bin/tool", "", "", "", false, ""},
		{"/opt/x/bin/worker", "", "./one#worker", "bin/worker", false, "./two#worker"},
		{"/opt/x/bin/lonely", "", ".#default", "bin/lonely", false, ""},
		{"/opt/x/bin/nobody", "/opt/x/share/nobody", "", "", false, ""},
		{"/opt/x/bin/y", hashB + "apis-1/bin/y", "", "", false, ""},
	} {
		link := phases.Link{Path: c.link, End: c.end}
		got, other := packageOf(link, packages)
		if got == nil {
			if c.want != "" {
				t.Errorf("%+v leads to nothing, want %s", link, c.want)
			}
			continue
		}
		binary, sure := binaryOf(link, got)
		if got.Flake() != c.want || binary != c.binary || sure != c.sure || (other == nil) != (c.otherwiseThan == "") {
			t.Errorf("%+v leads to %s of %s (%v), or %+v; want %+v", link, binary, got.Flake(), sure, other, c)
		}
	}
}

// A link leads to the package that it names, also where what is in there is itself a link into
// another; where it names something else of the store, as a profile does, to what comes last.
func TestPackageOfLinked(t *testing.T) {
	packages := []phases.Package{
		{Folder: ".", Attribute: "shop-api", Name: "shop-api", Output: hashA + "shop-api-1"},
		{Folder: ".", Attribute: "tools", Name: "shop-tools", Output: hashB + "shop-tools-1"},
	}
	for _, c := range []struct{ to, want, binary string }{
		{hashB + "shop-tools-1/bin/shopctl", ".#tools", "bin/shopctl"},
		{hashB + "shop-tools-0.9/bin/shopctl", ".#tools", "bin/shopctl"},
		{hashB + "user-environment/bin/shopctl", ".#shop-api", "bin/shop-api"},
		{"/etc/shop/current", ".#shop-api", "bin/shop-api"},
	} {
		link := phases.Link{Path: "/usr/local/bin/shopctl", To: c.to, End: hashA + "shop-api-1/bin/shop-api"}
		got, other := packageOf(link, packages)
		if got == nil || other != nil || got.Flake() != c.want {
			t.Errorf("%s leads to %+v, or %+v; want %s", c.to, got, other, c.want)
			continue
		}
		if binary, sure := binaryOf(link, got); binary != c.binary || !sure {
			t.Errorf("%s: the binary is %s (%v), want %s", c.to, binary, sure, c.binary)
		}
	}
}

func TestNamesPath(t *testing.T) {
	for command, want := range map[string]bool{
		"/opt/x/bin/a": true, "{ path=/opt/x/bin/a ; argv[]=x }": true, `sh -c "exec /opt/x/bin/a -v"`: true, "/opt/x/bin/ab /opt/x/bin/a": true,
		"/opt/x/bin/ab": false, "/y/opt/x/bin/a": false, "/opt/x/bin/a.old": false, "": false,
	} {
		if got := namesPath(command, "/opt/x/bin/a"); got != want {
			t.Errorf("%q: %v", command, got)
		}
	}
}

func TestInOrder(t *testing.T) {
	for _, c := range []struct {
		list string
		want string
	}{
		{"b:a c:b a:", "a b c"}, {"z: y: x:z", "y z x"}, {"a:b b:a", "a b"}, {"a:a.service b:", "a b"}, {"", ""},
	} {
		var list []*proposedUnit
		for _, one := range strings.Fields(c.list) {
			name, after, _ := strings.Cut(one, ":")
			list = append(list, &proposedUnit{name: name, after: []string{after + ".service", "network.target"}})
		}
		var got []string
		for _, u := range bySystemd(list) {
			got = append(got, u.name)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %s, want %s", c.list, got, c.want)
		}
	}
}

// shop is what two targets of a made-up app are like.
func shop() *Found {
	address := netip.MustParseAddrPort
	served := func() *phases.Served {
		return &phases.Served{
			Root: true, Checkout: true,
			Links: []phases.Link{
				{Path: "/srv/shop/bin/web", To: hashB + "shop-web-1/bin/web", End: hashB + "shop-web-1/bin/web"},
				{Path: "/opt/vendor/bin/thing", To: "../thing", End: "/opt/vendor/thing"},
				{Path: "/opt/old/bin/gone", To: hashB + "gone-1/bin/gone", End: hashB + "gone-1/bin/gone"},
			},
			Wanted: []string{"/srv/shop/bin/worker"},
			Services: []phases.Service{
				{Name: "shop-web.service", Type: "notify", State: "active", Command: "{ path=/srv/shop/bin/web ; argv[]=/srv/shop/bin/web }",
					After:   []string{"shop-db.service", "shop-cache.service"},
					Listens: []netip.AddrPort{address("[::]:80"), address("10.0.0.1:81"), address("127.0.0.1:82")}},
				{Name: "shop-cache.service", Type: "simple", State: "active", Command: "{ path=/bin/sh ; argv[]=/bin/sh -c /srv/shop/bin/web }", After: nil},
				{Name: "shop-migrate.service", Type: "oneshot", State: "inactive", Command: "{ path=/srv/shop/bin/web ; argv[]=/srv/shop/bin/web migrate }"},
				{Name: "shop-spare.service", Type: "simple", State: "failed", Command: "{ path=/srv/shop/bin/web ; }"},
				{Name: "shop-worker.service", Type: "simple", State: "inactive", Command: "{ path=/srv/shop/bin/worker ; }"},
				{Name: "gone.service", Type: "simple", State: "active", Command: "{ path=/opt/old/bin/gone ; }"},
			},
			Templates: []phases.Service{{Name: "shop-job@.service", Command: "/srv/shop/bin/worker %i"}},
		}
	}
	f := &Found{Build: "forge", Repo: "/home/ci/shop", Source: &phases.Source{
		Checkout: "yes", Origin: "git@git.example:team/shop.git", Branch: "trunk", Nix: "nix (Nix) 2.28.0",
		Packages: []phases.Package{
			{Folder: "./web", Attribute: "default", Name: "shop-web", Program: "web"},
			{Folder: "./web", Attribute: "web", Name: "shop-web", Program: "web"},
			{Folder: ".", Attribute: "worker", Name: "worker"},
			{Folder: ".", Attribute: "docs", Name: "docs"},
		},
		Failed: []phases.FlakeError{{Folder: "./broken", Said: "error: undefined variable 'x'"}},
	}}
	one := &FoundTarget{Host: "one", User: "root", Served: served(), Answers: map[netip.AddrPort]Answer{
		address("[::]:80"): {path: "/", status: 404}, address("10.0.0.1:81"): {path: "/healthz", status: 200, ours: true, commit: true},
		address("127.0.0.1:82"): {path: "/health", err: os.ErrDeadlineExceeded},
	}}
	two := &FoundTarget{Host: "two", User: "deploy", Served: served(), Sudo: &remote.SudoError{Said: "sudo: a password is required"}}
	two.Served.Checkout, two.Served.Services = false, two.Served.Services[:1]
	two.Served.Services[0].Listens = nil
	f.Targets = []*FoundTarget{one, two}
	return f
}

const shopConfig = `# What rel init found. Lines that begin with # say what else can be set, or are to be filled in.

app          = "shop"  # from /srv/shop/bin
branch       = "trunk"  # forge has it checked out
repo         = "/home/ci/shop"  # git@git.example:team/shop.git; on every host, unless a host says otherwise
# manifest     = "/tmp/shop-release.env"  # where the release is written down as KEY=value
# confirm      = "2m"  # how long a target waits to be confirmed before it goes back by itself
# on_unhealthy = "revert"  # or "keep"
# keep         = 5  # healthy releases that stay pinned on each target

[build]
host = "forge"

[[target]]
host = "one"

[[target]]
host = "two"
repo = ""  # none at /home/ci/shop; set it if it lies elsewhere
become = "sudo"  # sudo wants the password of deploy
become_password = "ask"

# no package was found for it
# [[artifact]]
# name   = "gone"
# flake  = "./FOLDER#PACKAGE"
# binary = "bin/gone"
# link   = "/opt/old/bin/gone"

[[artifact]]
name   = "web"
flake  = "./web#web"
binary = "bin/web"
link   = "/srv/shop/bin/web"

# binary is a guess: nothing is built yet
# a unit runs it, and it is not there yet
[[artifact]]
name   = "worker"
flake  = ".#worker"
binary = "bin/worker"
link   = "/srv/shop/bin/worker"

# no link leads to it yet
# [[artifact]]
# name   = "docs"
# flake  = ".#docs"
# binary = "bin/docs"
# link   = "/opt/shop/bin/docs"

[services]
restart = [  # in this order
    # "shop-cache",  # not on two
    # "shop-migrate",  # it runs once, and is over
    # "shop-spare",  # failed on one
    "shop-web",
    # "shop-worker",  # not on two
    # "shop-job@INSTANCE",  # a template, which has no unit yet
]

# set the path to one that says how the service is
[[check]]
name = "shop-web"
url  = "http://127.0.0.1:80/"
status = 404

[[check]]
name = "shop-web-2"
url  = "http://10.0.0.1:81/healthz"
body = "${sha}"  # the page names the commit: the old release cannot pass for the new one

# shop-web listens there, and does not answer HTTP: i/o timeout
# [[check]]
# name = "shop-web-3"
# url  = "http://127.0.0.1:82/health"
`

func TestOf(t *testing.T) {
	p := Of(shop(), "")
	if got := p.Text(); got != shopConfig {
		t.Errorf("got\n%s\nwant\n%s", got, shopConfig)
	}
	c, err := readBack(t, p.Text())
	if err != nil || len(c.Check) != 2 || len(c.Artifact) != 2 {
		t.Fatalf("%+v, %v", c, err)
	}
	for _, words := range []string{"./broken could not be read", "artifact gone: which package", "shop-cache is not on two", "shop-spare is failed on one", "shop-job@.service", "target two: without root"} {
		if !slices.ContainsFunc(p.Open, func(text string) bool { return strings.Contains(text, words) }) {
			t.Errorf("nothing is said of %q: %q", words, p.Open)
		}
	}
	if !p.Runs {
		t.Error("nothing runs")
	}
}

// readBack is what was written, as every command reads it.
func readBack(t *testing.T, text string) (*config.File, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), config.Name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Read(path)
}

// TestOfNothing: of hosts on which nothing was found there is a file to fill in, and
// all that is missing is told.
func TestOfNothing(t *testing.T) {
	f := &Found{Build: "b", Repo: "/r", Source: &phases.Source{Checkout: "none"},
		Targets: []*FoundTarget{{Host: "t", User: "root", Served: &phases.Served{}}}}
	p := Of(f, "")
	c, err := config.Parse("rel.toml", []byte(p.Text()))
	if err != nil || c.App != "r" || c.Branch != "main" {
		t.Errorf("%+v, %v:\n%s", c, err, p.Text())
	}
	if text := p.Text(); strings.Contains(text, "# ;") || strings.Contains(text, "no branch checked out") {
		t.Errorf("it says more of the checkout than was seen:\n%s", text)
	}
	if got := len(p.Open); got != 4 {
		t.Errorf("what is open is %q", p.Open)
	}
	// The first release has every package, under its own name.
	f.Source = &phases.Source{Checkout: "yes", Origin: "https://h/Shop.git", Branch: "main", Packages: []phases.Package{
		{Folder: ".", Attribute: "default", Name: "shop", Output: hashA + "shop"}, {Folder: ".", Attribute: "shop", Name: "shop", Output: hashA + "shop"},
		{Folder: ".", Attribute: "tool", Name: "tool", Output: hashA + "tool"},
	}}
	c, err = readBack(t, Of(f, "").Text())
	if err != nil || c.App != "shop" || len(c.Artifact) != 2 || c.Artifact[0] != (config.Artifact{Name: "shop", Flake: ".#shop", Binary: "bin/shop", Link: "/opt/shop/bin/shop"}) {
		t.Errorf("%+v, %v", c, err)
	}
}

// FuzzOf: whatever hosts say of themselves, what is written is TOML with known keys,
// and has in it what was proposed and no more.
func FuzzOf(f *testing.F) {
	f.Add("shop", "/opt/x/bin/web", hashA+"web-1/bin/web", "web", "shop-web.service", "sudo: no", "127.0.0.1:80")
	f.Add("a\"\n[build]\nhost = \"evil", "/opt/x/bin/a\"b", "\x1b]0;x\a", "x\ny", "u\"],\n[x]\n.service", "no\npassword = 1", "[::1]:1")
	f.Add("", "/opt/a/bin/'''", "\xff", "${x}", "a\\x2db.service", "\u2028x", "1.2.3.4:5")
	f.Fuzz(func(t *testing.T, origin, link, end, name, unit, said, address string) {
		at, err := netip.ParseAddrPort(address)
		if err != nil || at.Addr().Zone() != "" {
			return
		}
		found := &Found{Build: "b", Repo: "/r", Source: &phases.Source{Checkout: "yes", Origin: origin, Branch: name, Head: said, NixError: said,
			Packages: []phases.Package{{Folder: "./" + origin, Attribute: name, Name: name, Program: said, Output: end, Binaries: []string{said, unit}},
				{Folder: ".", Attribute: "other", Name: name}},
			Failed: []phases.FlakeError{{Folder: name, Said: said}}}}
		served := &phases.Served{Links: []phases.Link{{Path: link, End: end}}, Wanted: []string{"/opt/x/bin/other"},
			Services: []phases.Service{{Name: unit, State: "active", Command: link, File: end, After: []string{unit, said}, Listens: []netip.AddrPort{at}},
				{Name: "o" + unit, Command: "/opt/x/bin/other", Listens: []netip.AddrPort{at}}},
			Templates: []phases.Service{{Name: unit, Command: link}}}
		found.Targets = []*FoundTarget{{Host: "t", User: said, Sudo: &remote.SudoError{Said: said}, Served: served,
			Answers: map[netip.AddrPort]Answer{at: {path: "/", status: 200, ours: said != ""}}}}
		p := Of(found, "")
		c, err := config.Parse("rel.toml", []byte(p.Text()))
		if err != nil {
			t.Fatalf("%v\n%s", err, p.Text())
		}
		if c.Build.Host != "b" || c.Repo != "/r" || len(c.Target) != 1 || c.Target[0].Host != "t" {
			t.Errorf("the hosts are %+v, %+v", c.Build, c.Target)
		}
		var artifacts []config.Artifact
		for _, a := range p.artifacts {
			if !a.off {
				artifacts = append(artifacts, a.Artifact)
			}
		}
		var units, checks []string
		for _, u := range p.units {
			if !u.off {
				units = append(units, u.name)
			}
		}
		for _, k := range p.checks {
			if !k.off {
				checks = append(checks, k.url)
			}
		}
		var urls []string
		for _, k := range c.Check {
			urls = append(urls, k.URL)
		}
		if !slices.Equal(c.Artifact, artifacts) || !slices.Equal(c.Services.Restart, units) || !slices.Equal(urls, checks) {
			t.Errorf("it has %+v, %q, %q; proposed were %+v, %q, %q", c.Artifact, c.Services.Restart, urls, artifacts, units, checks)
		}
	})
}
