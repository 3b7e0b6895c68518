// Package config reads rel.toml: what it says, where each value stands, and all that is wrong
// with it.
package config

import (
	"maps"
	"time"

	"choir.chat/rel/phases"
)

// File is rel.toml, as it was written. What goes down into the house is the plan that it is
// translated to.
type File struct {
	App         string          `toml:"app"`
	Branch      string          `toml:"branch"`
	Repo        string          `toml:"repo"`
	Manifest    string          `toml:"manifest"`
	Confirm     phases.Duration `toml:"confirm"`
	OnUnhealthy string          `toml:"on_unhealthy"`
	Keep        int             `toml:"keep"`
	Become      string          `toml:"become"`
	// BecomePassword and BecomeCommand go with Become.
	BecomePassword string     `toml:"become_password"`
	BecomeCommand  string     `toml:"become_command"`
	Build          Build      `toml:"build"`
	Target         []Target   `toml:"target"`
	Artifact       []Artifact `toml:"artifact"`
	Services       Services   `toml:"services"`
	Check          []Check    `toml:"check"`
	Copy           Copy       `toml:"copy"`
	Limit          Limits     `toml:"limit"`

	// path is the file it was read from, and places where its keys stand in it.
	path   string
	places places
}

// Build is [build]: the build host.
type Build struct {
	Host string  `toml:"host"`
	Repo *string `toml:"repo"`
}

// Target is a [[target]].
type Target struct {
	Host string  `toml:"host"`
	Repo *string `toml:"repo"`
	// FromBuild is how the build host reaches the target.
	FromBuild string `toml:"from_build"`
	// Become is how the login user of this target becomes root.
	Become         *string `toml:"become"`
	BecomePassword *string `toml:"become_password"`
	BecomeCommand  *string `toml:"become_command"`
}

// Artifact is an [[artifact]].
type Artifact struct {
	Name   string `toml:"name"`
	Flake  string `toml:"flake"`
	Binary string `toml:"binary"`
	Link   string `toml:"link"`
}

// Services are the units.
type Services struct {
	Restart []string        `toml:"restart"`
	Settle  phases.Duration `toml:"settle"`
}

// Copy is [copy]: how store paths get to the targets.
type Copy struct {
	// Via is "auto", or one of the ways of phases.
	Via string `toml:"via"`
	// Cache is the URL of the binary cache for via = "cache".
	Cache string `toml:"cache"`
}

// Limits bounds the phases, by their names.
type Limits struct {
	Sync   Limit `toml:"sync"`
	Verify Limit `toml:"verify"`
	Build  Limit `toml:"build"`
	Copy   Limit `toml:"copy"`
	Apply  Limit `toml:"apply"`
	Health Limit `toml:"health"`
}

// Limit bounds one attempt at a phase; nil is as the phase has it.
type Limit struct {
	Deadline *phases.Duration `toml:"deadline"`
	Silence  *phases.Duration `toml:"silence"`
}

// limits are those that the file sets, by phase.
func (l *Limits) limits() map[string]Limit {
	all := map[string]Limit{"sync": l.Sync, "verify": l.Verify, "build": l.Build,
		"copy": l.Copy, "apply": l.Apply, "health": l.Health}
	maps.DeleteFunc(all, func(_ string, limit Limit) bool { return limit == Limit{} })
	return all
}

// Check is a [[check]].
type Check struct {
	Name        string           `toml:"name"`
	From        string           `toml:"from"`
	URL         string           `toml:"url"`
	AnyOf       []string         `toml:"any_of"`
	Status      int              `toml:"status"`
	Body        string           `toml:"body"`
	Location    string           `toml:"location"`
	Header      string           `toml:"header"`
	Resolve     string           `toml:"resolve"`
	Insecure    bool             `toml:"insecure"`
	CA          string           `toml:"ca"`
	StartPeriod *phases.Duration `toml:"start_period"`
	Interval    *phases.Duration `toml:"interval"`
	Timeout     *phases.Duration `toml:"timeout"`
	Successes   int              `toml:"successes"`
	Deadline    *phases.Duration `toml:"deadline"`
}

// Path is the file that it was read from.
func (f *File) Path() string { return f.path }

// defaultSettle is long enough for a process that dies three seconds after its start
// to have died, and been restarted by systemd, whose RestartSec is 100 ms unless set.
const defaultSettle = 4 * time.Second
