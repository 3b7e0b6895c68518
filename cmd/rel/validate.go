package main

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

var (
	// App names are part of unit names and of paths on the targets.
	appName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,30}$`)
	// Artifact names are part of paths and of the manifest's keys.
	artifactName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)
	// As systemd.unit(5) allows, less the backslash of its escapes.
	unitName   = regexp.MustCompile(`^[A-Za-z0-9@:._-]+$`)
	branchName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]*$`)
	// Paths that go to scp and into lists with one a line.
	hostPath = regexp.MustCompile(`^/[A-Za-z0-9._/+@%=-]+$`)
	// RFC 9110, section 5.1: a field name is a token.
	headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
	hostName   = regexp.MustCompile(`^([A-Za-z0-9._-]+@)?[A-Za-z0-9._:\[\]%-]+$`)
)

// maxConfirm is the longest confirm window: the health phase, which waits for
// its end where a release can be neither confirmed nor refused, has half an hour.
const maxConfirm = 20 * time.Minute

// complaints gathers all that is wrong, so that one run of rel shows it all.
type complaints struct {
	path string
	list []error
}

func (c *complaints) add(format string, args ...any) {
	c.list = append(c.list, &configError{Path: c.path, Text: fmt.Sprintf(format, args...)})
}

func (c *complaints) match(key, value string, form *regexp.Regexp) {
	switch {
	case value == "":
		c.add("%s is missing", key)
	case !form.MatchString(value) || strings.HasPrefix(value, "-"):
		c.add("%s = %q is not of the form %s", key, value, form)
	}
}

// absolute wants a clean absolute path.
func (c *complaints) absolute(key, value string) {
	if c.match(key, value, hostPath); value != "" && path.Clean(value) != value {
		c.add("%s = %q is not an absolute path in its shortest form", key, value)
	}
}

// validate checks everything that can be known without asking a host.
func (c *config) validate() error {
	bad := &complaints{path: c.path}
	bad.match("app", c.App, appName)
	bad.match("branch", c.Branch, branchName)
	bad.absolute("manifest", c.Manifest)
	if !slices.Contains([]string{"auto", phases.Direct, phases.Relayed}, c.Copy.Via) {
		bad.add(`copy.via = %q is none of "auto", "direct" and "relay"`, c.Copy.Via)
	}
	if c.OnUnhealthy != "revert" && c.OnUnhealthy != "keep" {
		bad.add(`on_unhealthy = %q is neither "revert" nor "keep"`, c.OnUnhealthy)
	}
	if c.Keep < 1 {
		bad.add("keep = %d: at least the live release has to be kept", c.Keep)
	}
	if d := time.Duration(c.Confirm); d < 0 || d%time.Second != 0 {
		bad.add("confirm = %q is not a number of seconds", d)
	} else if d > maxConfirm {
		bad.add("confirm = %q is longer than %s: a release that nobody confirms has to go back while somebody remembers it", d, maxConfirm)
	}
	if d := time.Duration(c.Services.Settle); d < time.Second || d > time.Minute || d%time.Second != 0 {
		bad.add("services.settle = %q is not a number of seconds up to a minute", d)
	}
	c.validateHosts(bad)
	c.validateArtifacts(bad)
	for i, unit := range c.Services.Restart {
		bad.match(fmt.Sprintf("services.restart[%d]", i), unit, unitName)
	}
	c.validateChecks(bad)
	c.validateLimits(bad)
	return errors.Join(bad.list...)
}

// minLimit is the least that a phase may be given: below, a slow handshake would
// end it.
const minLimit = 10 * time.Second

func (c *config) validateLimits(bad *complaints) {
	for phase, limit := range c.Limit.limits() {
		least := minLimit
		// As long as a target waits to be confirmed, somebody has to be there.
		if phase == "health" {
			least = max(least, time.Duration(c.Confirm))
		}
		if d := limit.Deadline; d != nil && time.Duration(*d) < least {
			bad.add("limit.%s.deadline = %q is shorter than %s", phase, time.Duration(*d), least)
		}
		if d := limit.Silence; d != nil && time.Duration(*d) < minLimit {
			bad.add("limit.%s.silence = %q is shorter than %s", phase, time.Duration(*d), minLimit)
		}
	}
}

func (c *config) validateHosts(bad *complaints) {
	bad.match("build.host", c.Build.Host, hostName)
	if repo := pick(c.Build.Repo, c.Repo); repo == "" {
		bad.add("the build host has no repo: set repo, or build.repo")
	} else {
		bad.absolute("repo", repo)
	}
	if len(c.Target) == 0 {
		bad.add("there is no [[target]]")
	}
	seen := map[string]bool{}
	for i, t := range c.Target {
		key := fmt.Sprintf("target[%d]", i)
		bad.match(key+".host", t.Host, hostName)
		if seen[t.Host] {
			bad.add("%s.host = %q is there twice", key, t.Host)
		}
		seen[t.Host] = true
		if repo := pick(t.Repo, c.Repo); repo != "" {
			bad.absolute(key+".repo", repo)
		}
		c.validateBecome(key, &t, bad)
		if t.FromBuild != "" {
			bad.match(key+".from_build", t.FromBuild, hostName)
		}
	}
}

func (c *config) validateBecome(key string, t *targetConfig, bad *complaints) {
	name, command, password := c.become(t)
	var ask func(context.Context, string) (string, error)
	switch password {
	case "":
	case askPassword:
		ask = func(context.Context, string) (string, error) { return "", errNobodyThere }
	default:
		// What stands there may be one: it is not repeated.
		bad.add(`%s: become_password is not "ask"; rel asks for a password, and takes none from a file`, key)
		return
	}
	if name == "" && command == "" && ask == nil {
		return
	}
	if _, err := remote.NewBecome(name, command, ask); err != nil {
		bad.add("%s: become: %v", key, err)
	}
}

func (c *config) validateArtifacts(bad *complaints) {
	if len(c.Artifact) == 0 {
		bad.add("there is no [[artifact]]")
	}
	names, links := map[string]bool{}, map[string]string{}
	for i, a := range c.Artifact {
		key := fmt.Sprintf("artifact[%d]", i)
		bad.match(key+".name", a.Name, artifactName)
		if a.Name != "" {
			key = fmt.Sprintf("artifact %q", a.Name)
		}
		// Names that differ in - and _ alone would share a key of the manifest.
		id := strings.ReplaceAll(a.Name, "-", "_")
		if names[id] {
			bad.add("%s: the name is there twice", key)
		}
		names[id] = true
		if a.Flake == "" || strings.HasPrefix(a.Flake, "-") || hasControl(a.Flake) {
			bad.add("%s: flake = %q is no flake output, such as ./sandbox#sandbox", key, a.Flake)
		}
		if a.Binary == "" || !hostPath.MatchString("/"+a.Binary) || path.Clean("/"+a.Binary) != "/"+a.Binary {
			bad.add("%s: binary = %q is not a path within the artifact, such as bin/sandbox", key, a.Binary)
		}
		bad.absolute(key+".link", a.Link)
		if other, taken := links[a.Link]; taken && a.Link != "" {
			bad.add("%s: link %s is that of artifact %q already", key, a.Link, other)
		}
		links[a.Link] = a.Name
	}
}

func (c *config) validateChecks(bad *complaints) {
	seen := map[string]bool{}
	for i, k := range c.Check {
		key := fmt.Sprintf("check[%d]", i)
		if k.Name == "" || hasControl(k.Name) {
			bad.add("%s.name is missing", key)
		} else {
			key = fmt.Sprintf("check %q", k.Name)
		}
		if seen[k.Name] {
			bad.add("%s: the name is there twice", key)
		}
		seen[k.Name] = true
		if k.From != "target" && k.From != "operator" && k.From != "" {
			bad.add(`%s: from = %q is neither "target" nor "operator"`, key, k.From)
		}
		if (k.URL == "") == (len(k.AnyOf) == 0) {
			bad.add("%s: one of url and any_of has to be set", key)
		}
		for _, u := range k.urls() {
			validateURL(key, u, bad)
		}
		if k.Status != 0 && (k.Status < 100 || k.Status > 599) {
			bad.add("%s: status = %d is no HTTP status", key, k.Status)
		}
		if name, value, ok := strings.Cut(k.Header, ":"); k.Header != "" && (!ok || !headerName.MatchString(name) || strings.TrimSpace(value) == "" || hasControl(value)) {
			bad.add("%s: header = %q is not of the form \"Name: value\"", key, k.Header)
		}
		if k.Successes < 0 {
			bad.add("%s: successes = %d is less than one", key, k.Successes)
		}
		k.validateTimes(key, bad)
	}
}

// userinfo is what may be a name and a password in what may be a URL.
var userinfo = regexp.MustCompile(`//[^/]*@`)

// validateURL refuses a URL with a password in it: the plan is recorded, and what a
// check asked is shown.
func validateURL(key, text string, bad *complaints) {
	shown := userinfo.ReplaceAllString(text, "//***@")
	parsed, err := url.Parse(text)
	switch {
	case err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "":
		bad.add("%s: %q is no http or https URL", key, shown)
	case parsed.User != nil:
		bad.add("%s: %q has a name or a password in it, and the journal would keep it; without one the answer may be status = 401", key, shown)
	}
}

func (k *checkConfig) validateTimes(key string, bad *complaints) {
	times := map[string]*phases.Duration{"interval": k.Interval, "timeout": k.Timeout, "deadline": k.Deadline}
	for _, name := range slices.Sorted(maps.Keys(times)) {
		if d := times[name]; d != nil && *d <= 0 {
			bad.add("%s: %s = %q is no time at all", key, name, time.Duration(*d))
		}
	}
	if k.StartPeriod != nil && *k.StartPeriod < 0 {
		bad.add("%s: start_period is before the start", key)
	}
}

func (k *checkConfig) urls() []string {
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
