package phases

import (
	"context"
	_ "embed"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed doctor.sh
var doctorScript string

// Inspection is what a host is like, as whoever logs in there has it.
type Inspection struct {
	// Lacks are the commands that a promotion runs there, and that it has not.
	Lacks []string
	// Free is the room in folders, in bytes.
	Free map[string]int64
	// Temporary are files of uploads that broke off an hour ago or more.
	Temporary []string
	// OneUse are the promotions that have left a key of theirs in the login's
	// authorized_keys.
	OneUse []string
	// Checkout is nil on a host that is to have none.
	Checkout *Checkout
	// Builder is nil on a target.
	Builder *Builder
	// Skew is by how much the host's clock is ahead of this one; it may be wrong by
	// Doubt, which is what the way there took.
	Skew, Doubt time.Duration
}

// Checkout is a git checkout, and its origin.
type Checkout struct {
	Repo string
	// Origin is its address without a password; Tip the commit of the branch there,
	// empty if it has no such branch, and Unreached why it cannot be asked.
	Origin, Tip, Unreached string
	Head                   string
	// Refusals are what would keep a promotion off it.
	Refusals []*Refusal
}

// Builder is what a build host has to build with.
type Builder struct {
	// Nix is the version line; NixError what the host said where there is none.
	Nix, NixError string
	// Flakes says that they are on without being asked for.
	Flakes bool
	// Keys are the names of the keys whose signatures it trusts.
	Keys   []string
	Caches []Cache
}

// Cache is a binary cache that a build host is configured to use.
type Cache struct {
	// Address is without a password.
	Address string
	// Status is what it answers over HTTP; zero, if it does not, and Said why.
	Status int
	Said   string
	// Credentials says whether netrc has its host: "yes", "no" or "unreadable". Empty
	// for one that HTTP cannot ask.
	Credentials string
}

// Inspect asks a host what it is like. builds says that it is the build host.
func Inspect(ctx context.Context, host Host, plan *Plan, site Site, builds bool) (*Inspection, error) {
	sent := time.Now()
	out, err := host.Run(ctx, Script{
		Name: "doctor.sh", Code: doctorScript, Reads: true, Env: map[string]string{
			"APP": plan.App, "STORE": storeDir, "MANIFEST": plan.Manifest, "REPO": site.Repo, "BRANCH": plan.Branch,
			"BUILDS": strconv.FormatBool(builds),
		},
	})
	received := time.Now()
	if err != nil {
		return nil, err
	}
	a, err := parseAnswer(host.Name(), "doctor.sh", out)
	if err != nil {
		return nil, err
	}
	i := &Inspection{Lacks: a.all("lacks"), Free: map[string]int64{}, Temporary: a.all("temporary"), OneUse: a.all("one_use")}
	for folder, kib := range a.table("free") {
		i.Free[folder] = answer{{"free", kib}}.kib("free")
	}
	i.Skew, i.Doubt = skew(sent, received, clock(a.get("began")), clock(a.get("ended")))
	if site.Repo != "" {
		i.Checkout = parseCheckout(host.Name(), plan, site.Repo, a)
	}
	if builds {
		i.Builder = parseBuilder(a)
	}
	return i, nil
}

// Full are the folders with too little room for a promotion, besides the store of a
// target, of which its [Look] tells.
func (i *Inspection) Full(host string) (list []*Refusal) {
	least := map[string]int64{"/tmp": leastRoom, storeDir: leastFree}
	if i.Builder == nil {
		least = map[string]int64{"/tmp": leastRoom, "/var/lib/rel": leastRoom}
	}
	for _, folder := range slices.Sorted(maps.Keys(least)) {
		if full := tooFull(host, folder, i.Free[folder], least[folder]); full != nil {
			list = append(list, full)
		}
	}
	return list
}

// clock is a time that date +%s.%N answered. What knows no %N answers seconds.
func clock(text string) time.Time {
	seconds, fraction, _ := strings.Cut(text, ".")
	s, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return time.Time{}
	}
	n, _ := strconv.ParseUint(fraction, 10, 30)
	return time.Unix(s, int64(n))
}

// skew is by how much a host's clock is ahead, as NTP reckons it: what was asked at
// sent was heard there at began, and what was answered there at ended was heard at
// received. The way there may have taken all of the time that the host did not.
func skew(sent, received, began, ended time.Time) (ahead, doubt time.Duration) {
	if began.IsZero() || ended.IsZero() {
		return 0, received.Sub(sent)
	}
	return (began.Sub(sent) + ended.Sub(received)) / 2, (received.Sub(sent) - ended.Sub(began)) / 2
}

func parseCheckout(host string, plan *Plan, repo string, a answer) *Checkout {
	c := &Checkout{Repo: repo, Origin: a.get("origin"), Tip: a.get("tip"), Unreached: a.get("origin_error"), Head: a.get("head")}
	refuse := func(reason Reason, total string, items ...string) {
		more, _ := strconv.Atoi(total)
		c.Refusals = append(c.Refusals, &Refusal{Reason: reason, Host: host, Thing: repo, Items: items, More: max(0, more-len(items))})
	}
	switch {
	case a.get("checkout") == "not-ours":
		refuse(NotOurs, "")
		return c
	case a.get("checkout") == "read-only":
		refuse(ReadOnly, "", a.get("user"))
		return c
	case a.get("checkout") != "yes" || c.Head == "":
		refuse(NoCheckout, "")
		return c
	}
	if branch := a.get("branch"); branch != plan.Branch {
		refuse(WrongBranch, "", branch, plan.Branch)
	} else if ahead := a.all("ahead"); len(ahead) > 0 {
		refuse(Diverged, "", ahead...)
	}
	if items := a.all("item"); len(items) > 0 {
		refuse(Dirty, a.get("total"), items...)
	}
	return c
}

func parseBuilder(a answer) *Builder {
	b := &Builder{Nix: a.get("nix"), NixError: a.get("nix_error"), Flakes: a.has("flakes"), Keys: a.all("key")}
	for _, row := range a.all("cache") {
		f := append(strings.SplitN(row, "\t", 4), "", "", "")
		c := Cache{Address: f[0], Credentials: f[2], Said: f[3]}
		c.Status, _ = strconv.Atoi(f[1])
		b.Caches = append(b.Caches, c)
	}
	return b
}
