package config

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"choir.chat/rel/phases"
	"choir.chat/rel/remote"
)

// maxConfirm is the longest confirm window: the health phase, which waits for
// its end where a release can be neither confirmed nor refused, has half an hour.
const maxConfirm = 20 * time.Minute

// validate checks how store paths are to get to the targets.
func (c *Copy) validate(bad *complaints) {
	if !slices.Contains([]string{"auto", phases.Direct, phases.Relayed, phases.NixCopy, phases.Cached}, c.Via) {
		bad.add("copy.via", `copy.via = %q is none of "auto", "direct", "relay", "nix-copy" and "cache"`, c.Via)
	}
	if (c.Via == phases.Cached) != (c.Cache != "") {
		bad.add("copy.cache", `copy.cache = %q and copy.via = %q: the URL of a binary cache goes with via = "cache", and with no other`, c.Cache, c.Via)
	}
	if c.Cache == "" {
		return
	}
	u, err := url.Parse(c.Cache)
	switch {
	case err != nil || !slices.Contains([]string{"s3", "http", "https", "file"}, u.Scheme) || strings.ContainsFunc(c.Cache, unicode.IsSpace):
		bad.add("copy.cache", `copy.cache = %q is no URL of a binary cache: s3://, https://, http:// or file://`, c.Cache)
	case u.User != nil:
		bad.add("copy.cache", `copy.cache has a user or a password in it, which the journal would keep: put them into the hosts' netrc`)
	}
}

// Validate checks everything that can be known without asking a host. What is wrong are
// [*Error]s, joined into one.
func (f *File) Validate() error {
	bad := &complaints{path: f.path, places: f.places}
	bad.match("app", "app", f.App, AppName)
	bad.match("branch", "branch", f.Branch, BranchName)
	bad.absolute("manifest", "manifest", f.Manifest)
	f.Copy.validate(bad)
	if f.OnUnhealthy != "revert" && f.OnUnhealthy != "keep" {
		bad.add("on_unhealthy", `on_unhealthy = %q is neither "revert" nor "keep"`, f.OnUnhealthy)
	}
	if f.Keep < 1 {
		bad.add("keep", "keep = %d: at least the live release has to be kept", f.Keep)
	}
	if d := time.Duration(f.Confirm); d < 0 || d%time.Second != 0 {
		bad.add("confirm", "confirm = %q is not a number of seconds", d)
	} else if d > maxConfirm {
		bad.add("confirm", "confirm = %q is longer than %s: a release that nobody confirms has to go back while somebody remembers it", d, maxConfirm)
	}
	if d := time.Duration(f.Services.Settle); d < time.Second || d > time.Minute || d%time.Second != 0 {
		bad.add("services.settle", "services.settle = %q is not a number of seconds up to a minute", d)
	}
	f.validateHosts(bad)
	f.validateArtifacts(bad)
	for i, unit := range f.Services.Restart {
		at := fmt.Sprintf("services.restart[%d]", i)
		bad.match(at, at, unit, UnitName)
	}
	f.validateChecks(bad)
	f.validateLimits(bad)
	return errors.Join(bad.list...)
}

// placed is the first of the keys that the file has, for what more than one of them may
// have settled.
func (f *File) placed(keys ...string) string {
	for _, key := range keys {
		if _, ok := f.places[key]; ok {
			return key
		}
	}
	return keys[0]
}

// minLimit is the least that a phase may be given: below, a slow handshake would
// end it.
const minLimit = 10 * time.Second

func (f *File) validateLimits(bad *complaints) {
	limits := f.Limit.limits()
	for _, phase := range slices.Sorted(maps.Keys(limits)) {
		limit, least := limits[phase], minLimit
		// As long as a target waits to be confirmed, somebody has to be there.
		if phase == "health" {
			least = max(least, time.Duration(f.Confirm))
		}
		if d := limit.Deadline; d != nil && time.Duration(*d) < least {
			bad.add("limit."+phase+".deadline", "limit.%s.deadline = %q is shorter than %s", phase, time.Duration(*d), least)
		}
		if d := limit.Silence; d != nil && time.Duration(*d) < minLimit {
			bad.add("limit."+phase+".silence", "limit.%s.silence = %q is shorter than %s", phase, time.Duration(*d), minLimit)
		}
	}
}

func (f *File) validateHosts(bad *complaints) {
	bad.match("build.host", "build.host", f.Build.Host, HostName)
	if repo := pick(f.Build.Repo, f.Repo); repo == "" {
		bad.add("build", "the build host has no repo: set repo, or build.repo")
	} else {
		bad.absolute(f.placed("build.repo", "repo"), "repo", repo)
	}
	if len(f.Target) == 0 {
		bad.add("", "there is no [[target]]")
	}
	seen := map[string]bool{}
	for i, t := range f.Target {
		key := fmt.Sprintf("target[%d]", i)
		bad.match(key+".host", key+".host", t.Host, HostName)
		if seen[t.Host] {
			bad.add(key+".host", "%s.host = %q is there twice", key, t.Host)
		}
		seen[t.Host] = true
		if repo := pick(t.Repo, f.Repo); repo != "" {
			bad.absolute(f.placed(key+".repo", "repo"), key+".repo", repo)
		}
		f.validateBecome(key, &t, bad)
		if t.FromBuild != "" {
			bad.match(key+".from_build", key+".from_build", t.FromBuild, HostName)
		}
	}
}

func (f *File) validateBecome(key string, t *Target, bad *complaints) {
	name, command, password := f.RootOf(t)
	var ask func(context.Context, string) (string, error)
	switch password {
	case "":
	case AskPassword:
		ask = func(context.Context, string) (string, error) { return "", nil }
	default:
		// What stands there may be one: it is not repeated.
		bad.add(f.placed(key+".become_password", "become_password"), `%s: become_password is not "ask"; rel asks for a password, and takes none from a file`, key)
		return
	}
	if name == "" && command == "" && ask == nil {
		return
	}
	if _, err := remote.NewBecome(name, command, ask); err != nil {
		bad.add(f.placed(key+".become", key+".become_command", key+".become_password", "become", "become_command", "become_password"), "%s: become: %v", key, err)
	}
}

func (f *File) validateArtifacts(bad *complaints) {
	if len(f.Artifact) == 0 {
		bad.add("", "there is no [[artifact]]")
	}
	names, links := map[string]bool{}, map[string]string{}
	for i, a := range f.Artifact {
		at := fmt.Sprintf("artifact[%d]", i)
		key := at
		bad.match(at+".name", at+".name", a.Name, artifactName)
		if a.Name != "" {
			key = fmt.Sprintf("artifact %q", a.Name)
		}
		// Names that differ in - and _ alone would share a key of the manifest.
		id := strings.ReplaceAll(a.Name, "-", "_")
		if names[id] {
			bad.add(at+".name", "%s: the name is there twice", key)
		}
		names[id] = true
		if a.Flake == "" || strings.HasPrefix(a.Flake, "-") || hasControl(a.Flake) {
			bad.add(at+".flake", "%s: flake = %q is no flake output, such as ./sandbox#sandbox", key, a.Flake)
		}
		if a.Binary == "" || !HostPath.Fits("/"+a.Binary) || path.Clean("/"+a.Binary) != "/"+a.Binary {
			bad.add(at+".binary", "%s: binary = %q is not a path within the artifact, such as bin/sandbox", key, a.Binary)
		}
		bad.absolute(at+".link", key+".link", a.Link)
		if other, taken := links[a.Link]; taken && a.Link != "" {
			bad.add(at+".link", "%s: link %s is that of artifact %q already", key, a.Link, other)
		}
		links[a.Link] = a.Name
	}
}

// RFC 9110, section 5.1: a field name is a token.
var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

func (f *File) validateChecks(bad *complaints) {
	seen := map[string]bool{}
	for i, k := range f.Check {
		at := fmt.Sprintf("check[%d]", i)
		key := at
		if k.Name == "" || hasControl(k.Name) {
			bad.add(at+".name", "%s.name is missing", key)
		} else {
			key = fmt.Sprintf("check %q", k.Name)
		}
		if seen[k.Name] {
			bad.add(at+".name", "%s: the name is there twice", key)
		}
		seen[k.Name] = true
		if k.From != "target" && k.From != "operator" && k.From != "" {
			bad.add(at+".from", `%s: from = %q is neither "target" nor "operator"`, key, k.From)
		}
		if (k.URL == "") == (len(k.AnyOf) == 0) {
			bad.add(at+".url", "%s: one of url and any_of has to be set", key)
		}
		for _, u := range k.urls() {
			validateURL(f.placed(at+".url", at+".any_of"), key, u, bad)
		}
		if k.Status != 0 && (k.Status < 100 || k.Status > 599) {
			bad.add(at+".status", "%s: status = %d is no HTTP status", key, k.Status)
		}
		if name, value, ok := strings.Cut(k.Header, ":"); k.Header != "" && (!ok || !headerName.MatchString(name) || strings.TrimSpace(value) == "" || hasControl(value)) {
			bad.add(at+".header", "%s: header = %q is not of the form \"Name: value\"", key, k.Header)
		}
		if k.Successes < 0 {
			bad.add(at+".successes", "%s: successes = %d is less than one", key, k.Successes)
		}
		k.validateTimes(at, key, bad)
	}
}

// userinfo is what may be a name and a password in what may be a URL.
var userinfo = regexp.MustCompile(`//[^/]*@`)

// validateURL refuses a URL with a password in it: the plan is recorded, and what a
// check asked is shown.
func validateURL(at, key, text string, bad *complaints) {
	shown := userinfo.ReplaceAllString(text, "//***@")
	parsed, err := url.Parse(text)
	switch {
	case err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "":
		bad.add(at, "%s: %q is no http or https URL", key, shown)
	case parsed.User != nil:
		bad.add(at, "%s: %q has a name or a password in it, and the journal would keep it; without one the answer may be status = 401", key, shown)
	}
}

func (k *Check) validateTimes(at, key string, bad *complaints) {
	times := map[string]*phases.Duration{"interval": k.Interval, "timeout": k.Timeout, "deadline": k.Deadline}
	for _, name := range slices.Sorted(maps.Keys(times)) {
		if d := times[name]; d != nil && *d <= 0 {
			bad.add(at+"."+name, "%s: %s = %q is no time at all", key, name, time.Duration(*d))
		}
	}
	if k.StartPeriod != nil && *k.StartPeriod < 0 {
		bad.add(at+".start_period", "%s: start_period is before the start", key)
	}
}

func (k *Check) urls() []string {
	if k.URL != "" {
		return []string{k.URL}
	}
	return k.AnyOf
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, unicode.IsControl)
}

// pick is the host's own value, or the one for every host.
func pick(own *string, general string) string {
	if own != nil {
		return *own
	}
	return general
}
