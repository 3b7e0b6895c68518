package main

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"choir.chat/rel/phases"
)

// nixMended are the releases in which the hole that CVE-2026-39860 names is closed,
// by their series. What came before has that one, or CVE-2024-27297.
var nixMended = map[int]int{28: 6, 29: 3, 30: 4, 31: 4, 32: 7, 33: 4, 34: 5}

// nixVersion is the end of what nix --version says: of Determinate's, too.
var nixVersion = regexp.MustCompile(`([0-9]+)\.([0-9]+)(?:\.([0-9]+))?[^ ]*$`)

// nixHole is the release that closes the hole in the one that runs; empty, if it has
// none that is known.
func nixHole(said string) (mended string) {
	v := nixVersion.FindStringSubmatch(said)
	if v == nil || strings.Contains(said, "Lix") {
		return ""
	}
	major, _ := strconv.Atoi(v[1])
	minor, _ := strconv.Atoi(v[2])
	patch, _ := strconv.Atoi(v[3])
	least, known := nixMended[minor]
	switch {
	case major > 2 || major == 2 && minor > 34 || major == 2 && known && patch >= least:
		return ""
	case major == 2 && known:
		return fmt.Sprintf("2.%d.%d", minor, least)
	}
	return "2.34.5"
}

func judgeNix(f *findings, said string) {
	if mended := nixHole(said); mended != "" {
		f.warn("nix", f.rootThere(f.host, "nix upgrade-nix")+", or as the system there is upgraded, to "+mended+" or newer",
			"%s lets who may build there become root (CVE-2026-39860, CVE-2024-27297)", said)
		return
	}
	f.ok("nix", "%s", said)
}

// judgeBuilder is about what a build host builds with.
func judgeBuilder(f *findings, b *phases.Builder) {
	if b.Nix == "" {
		f.refused(&phases.Refusal{Reason: phases.NoNix, Host: f.host, Thing: orNothing(b.NixError)}, "")
		return
	}
	judgeNix(f, b.Nix)
	if b.Flakes {
		f.ok("flakes", "they are on")
	} else {
		f.warn("flakes", f.there(f.host, `echo "extra-experimental-features = nix-command flakes" >>/etc/nix/nix.conf`),
			"they are off in nix.conf: rel turns them on for itself, and who builds there by hand has to")
	}
	if len(b.Caches) == 0 {
		f.ok("cache", "no binary cache is configured: everything is built there")
	}
	for i := range b.Caches {
		judgeCache(f, &b.Caches[i], b.Keys)
	}
}

// judgeCache is about one binary cache. Without it a build takes longer, and does not
// fail.
func judgeCache(f *findings, c *phases.Cache, keys []string) {
	at, err := url.Parse(c.Address)
	if err != nil || c.Credentials == "" {
		f.ok("cache", "%s is not asked: it is not one of HTTP", c.Address)
		return
	}
	ask := f.there(f.host, "curl -sS -i --max-time 10 "+quoted(strings.TrimRight(at.Scheme+"://"+at.Host+at.Path, "/")+"/nix-cache-info"))
	netrc := f.there(f.host, "nix --extra-experimental-features nix-command show-config | grep netrc-file") +
		", and a line there: machine " + at.Hostname() + " login LOGIN password TOKEN"
	trusted := at.Query().Get("trusted") != "" ||
		slices.ContainsFunc(keys, func(key string) bool { return strings.HasPrefix(key, at.Hostname()) })
	switch refuses := c.Status == 401 || c.Status == 403; {
	case refuses && c.Credentials == "yes":
		f.warn("cache", netrc, "%s does not accept the credentials in netrc (%d)", c.Address, c.Status)
	case refuses && c.Credentials == "unreadable":
		f.warn("cache", netrc, "%s wants credentials (%d), and the login there cannot read netrc", c.Address, c.Status)
	case refuses:
		f.warn("cache", netrc, "%s wants credentials (%d), and netrc has none for %s", c.Address, c.Status, at.Hostname())
	case c.Status == 0:
		f.warn("cache", ask, "%s does not answer: %s", c.Address, c.Said)
	case c.Status != 200:
		f.warn("cache", ask, "%s answers %d to /nix-cache-info", c.Address, c.Status)
	case !trusted:
		f.warn("cache", f.there(f.host, `echo "extra-trusted-public-keys = NAME:KEY" >>/etc/nix/nix.conf`)+", with the key that its owner names",
			"%s answers, but no trusted-public-keys is named after %s: what it has may be refused", c.Address, at.Hostname())
	default:
		f.ok("cache", "%s answers, and a key of its name is trusted", c.Address)
	}
}
