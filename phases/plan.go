package phases

import (
	"encoding/json"
	"fmt"
	"time"
)

// Plan is everything a promotion was started with, frozen and recorded when it
// opens. A resume goes by the recorded plan, never by today's rel.toml.
type Plan struct {
	App    string `json:"app"`
	Branch string `json:"branch"`
	// Commit is the full id of the one commit that is promoted.
	Commit  string `json:"commit"`
	Subject string `json:"subject,omitempty"`
	Build   Site   `json:"build"`
	Targets []Site `json:"targets"`
	// Manifest is where the manifest is written on every host.
	Manifest  string     `json:"manifest"`
	Artifacts []Artifact `json:"artifacts"`
	// Restart lists the units to restart, in this order.
	Restart []string `json:"restart,omitempty"`
	// Settle is how long the restarted units must stay as they are before the
	// apply has succeeded.
	Settle Duration `json:"settle"`
	Checks []Check  `json:"checks,omitempty"`
	// Confirm is how long a target waits, once the release is applied, before
	// it goes back by itself; zero turns that off.
	Confirm Duration `json:"confirm"`
	// OnUnhealthy says what becomes of a release that fails its checks:
	// "revert" or "keep".
	OnUnhealthy string `json:"on_unhealthy"`
	// Limits bound the phases that are named, in place of the phases' own.
	Limits map[string]Limit `json:"limits,omitempty"`
	// Via is how store paths get to the targets: [Direct], [Relayed], [NixCopy], [Cached], or
	// empty for what is there soonest. Cache is the URL of the binary cache of [Cached].
	Via   string `json:"via,omitempty"`
	Cache string `json:"cache,omitempty"`
	// Keep is how many healthy releases stay pinned on each target.
	Keep int `json:"keep"`
	// AllowDowngrade lets a commit pass that the live one does not lead to,
	// AcceptDrift links that were repointed by hand, Again a commit that was
	// rolled back. Force restarts the units of a release that is live already.
	AllowDowngrade bool `json:"allow_downgrade,omitempty"`
	AcceptDrift    bool `json:"accept_drift,omitempty"`
	Again          bool `json:"again,omitempty"`
	Force          bool `json:"force,omitempty"`
	// Release is set in a rollback: the recorded release to make live. From is
	// the promotion that this takes off the targets.
	Release *Release `json:"release,omitempty"`
	From    string   `json:"from,omitempty"`
	// Adopt says that the release is what the links point at already.
	Adopt bool `json:"adopt,omitempty"`
}

// Site is a host and the checkout on it.
type Site struct {
	// Host is the SSH alias, or user@host:port.
	Host string `json:"host"`
	// Repo is the checkout's folder; empty for a target that has none.
	Repo string `json:"repo,omitempty"`
	// FromBuild is how the build host reaches a target that it copies to by
	// itself; empty for the address that the operator has.
	FromBuild string `json:"from_build,omitempty"`
	// Become is how a login that is not root's becomes root: "sudo", "doas" or
	// "run0"; BecomeCommand another command; both are empty for root's own.
	// BecomePassword is "ask" where sudo is given a password, which is recorded nowhere.
	Become         string `json:"become,omitempty"`
	BecomeCommand  string `json:"become_command,omitempty"`
	BecomePassword string `json:"become_password,omitempty"`
}

// Artifact is one flake output and the link on the target that points at the
// binary in it.
type Artifact struct {
	Name   string `json:"name"`
	Flake  string `json:"flake"`
	Binary string `json:"binary"`
	Link   string `json:"link"`
}

// Check is one question of the health phase.
type Check struct {
	Name string `json:"name"`
	// From is "target" (through the SSH connection, as the target sees it) or
	// "operator".
	From string `json:"from"`
	// URLs has one address, or several of which one must pass.
	URLs []string `json:"urls"`
	// Status is the HTTP status that passes.
	Status int `json:"status"`
	// Body must be contained in the answer; Location must be that header;
	// Header, as "Name: value", one that the answer has.
	Body     string `json:"body,omitempty"`
	Location string `json:"location,omitempty"`
	Header   string `json:"header,omitempty"`
	// Resolve is the address to connect to instead of the URL's host.
	Resolve string `json:"resolve,omitempty"`
	// Insecure leaves the certificate unchecked; CA (PEM) is trusted beside
	// the operator's own roots.
	Insecure bool   `json:"insecure,omitempty"`
	CA       string `json:"ca,omitempty"`
	// Failures before StartPeriod is over are not held against the release; a
	// probe is sent every Interval and may take Timeout; Successes in a row
	// pass; Deadline is the end.
	StartPeriod Duration `json:"start_period"`
	Interval    Duration `json:"interval"`
	Timeout     Duration `json:"timeout"`
	Successes   int      `json:"successes"`
	Deadline    Duration `json:"deadline"`
}

// Kind is what the targets record the promotion as: "start", "rollback" or
// "adopt".
func (p *Plan) Kind() string {
	switch {
	case p.Release != nil:
		return "rollback"
	case p.Adopt:
		return "adopt"
	}
	return "start"
}

// Short is the abbreviated commit.
func (p *Plan) Short() string { return Short(p.Commit) }

// Short abbreviates a commit to the seven digits that people know it by.
func Short(commit string) string { return commit[:min(7, len(commit))] }

// Duration is a time.Duration that is written as "2m0s" in JSON.
type Duration time.Duration

// MarshalJSON writes the duration as Go prints it.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON reads what time.ParseDuration takes.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	return d.UnmarshalText([]byte(s))
}

// UnmarshalText reads what time.ParseDuration takes.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as \"90s\" or \"2m\"", b)
	}
	*d = Duration(v)
	return nil
}
