package phases

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

//go:embed look.sh
var lookScript string

// Look is what a target is like at one moment, as far as a promotion of one
// app is concerned.
type Look struct {
	Root    bool
	User    string
	Systemd bool
	// Nix is the version line; NixError what the host said where there is none.
	Nix      string
	NixError string
	Zstd     bool
	// Free is the room in the store, in bytes.
	Free int64
	// Live is the promotion that is live and confirmed, LiveCommit its commit.
	Live       string
	LiveCommit string
	// Pending is a promotion that is applied and waits for its confirmation.
	Pending string
	// Links maps each link to what it points at; links that are not there are
	// left out. Occupied are link paths at which something else lies, NoFolder
	// the folders of links that are missing.
	Links    map[string]string
	Occupied []string
	NoFolder []string
	// Units has what systemd says of each unit.
	Units map[string]Unit
	// Outcome is how the asking promotion's last apply ended; nil without one.
	Outcome *Outcome
	// Reverted is why the asking promotion's release went back; empty if not.
	Reverted string
	// Stuck is what could not be put back when it did.
	Stuck string
}

// Unit is what systemd says of a unit, by its property names.
type Unit map[string]string

// Loaded reports whether systemd knows the unit.
func (u Unit) Loaded() bool { return u["LoadState"] == "loaded" }

// Up reports whether the unit is as it should be: active, or one that runs
// once, and did so with success.
func (u Unit) Up() bool {
	once := u["Type"] == "oneshot" && u["Result"] == "success" && u["ActiveState"] == "inactive"
	return u["ActiveState"] == "active" || once
}

// LookAt asks a target what it is like, for the plan's links and units. The
// promotion id tells which apply's outcome is asked for.
func LookAt(ctx context.Context, host Host, line func(string), plan *Plan, id string) (*Look, error) {
	var rows [][]string
	for _, a := range plan.Artifacts {
		rows = append(rows, []string{"link", a.Link})
	}
	for _, unit := range plan.Restart {
		rows = append(rows, []string{"unit", unit})
	}
	out, err := host.Run(ctx, Script{
		Name: "look.sh", Code: lookScript, Stdin: table(rows...), Line: line,
		Env: map[string]string{"APP": plan.App, "ID": id, "STORE": storeDir},
	})
	if err != nil {
		return nil, err
	}
	a, err := parseAnswer(host.Name(), "look.sh", out)
	if err != nil {
		return nil, err
	}
	return parseLook(host.Name(), a)
}

func parseLook(host string, a answer) (*Look, error) {
	free, _ := strconv.ParseInt(a.get("free"), 10, 64)
	l := &Look{
		Root: a.get("uid") == "0", User: a.get("user"), Systemd: a.get("systemd") == "yes",
		Nix: a.get("nix"), NixError: a.get("nix_error"), Zstd: a.get("zstd") == "yes",
		Free: free << 10,
		Live: a.get("live"), LiveCommit: a.get("live_sha"), Pending: a.get("pending"),
		Links: map[string]string{}, Units: map[string]Unit{},
		Occupied: a.all("occupied"), NoFolder: a.all("no_folder"),
		Reverted: a.get("reverted"), Stuck: a.get("stuck"),
	}
	for _, row := range a.all("link") {
		name, target, _ := strings.Cut(row, "\t")
		l.Links[name] = target
	}
	for _, row := range a.all("unit") {
		name, states, _ := strings.Cut(row, "\t")
		unit := Unit{}
		for _, property := range strings.Fields(states) {
			key, value, _ := strings.Cut(property, "=")
			unit[key] = value
		}
		l.Units[name] = unit
	}
	if text := a.get("outcome"); text != "" {
		l.Outcome = new(Outcome)
		if err := json.Unmarshal([]byte(text), l.Outcome); err != nil {
			return nil, fmt.Errorf("%s: result.json of the apply is %q", host, clip(text))
		}
	}
	return l, nil
}

// look is LookAt for the promotion itself.
func (p *Promotion) look(ctx context.Context, host Host) (*Look, error) {
	return LookAt(ctx, host, func(line string) { p.Line(host.Name(), line) }, &p.Plan, p.ID)
}

// Runs reports whether every link points at the release's binaries.
func (l *Look) Runs(r *Release) bool {
	for i := range r.Outputs {
		if o := &r.Outputs[i]; l.Links[o.Link] != o.Target() {
			return false
		}
	}
	return true
}
