package phases

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
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
	// Live is the promotion that is live and confirmed, LiveCommit its commit,
	// Since when it was confirmed and By whom.
	Live       string
	LiveCommit string
	Since      time.Time
	By         string
	// Known says that a release was brought here before.
	Known bool
	// Recorded maps each link of the live release to what it is to point at;
	// ByHand are those that point where no release would have them.
	Recorded map[string]string
	ByHand   []string
	// Pending is a promotion that is applied and waits for its confirmation;
	// Unguarded says that it does not go back by itself.
	Pending   string
	Unguarded bool
	// Returned are the promotions since the live one that went back, with why.
	Returned map[string]string
	// RolledBack has the commits that were rolled back, and of each the promotion.
	RolledBack map[string]string
	// Links maps each link to what it points at; links that are not there are
	// left out. Occupied are link paths at which something else lies, NoFolder
	// the folders of links that are missing.
	Links    map[string]string
	Occupied []string
	NoFolder []string
	// Units has what systemd says of each unit, Exes the binary of its main
	// process, Stale the same for those that belong to another release than the
	// links do.
	Units map[string]Unit
	Exes  map[string]string
	Stale map[string]string
	// Begun says that the asking promotion may have switched links here.
	Begun bool
	// Outcome is how the asking promotion's last apply ended; nil without one.
	Outcome *Outcome
	// Reverted is why the asking promotion's release went back; empty if not.
	Reverted string
	// Stuck is what could not be put back when it did.
	Stuck string
	// Left is what is left of the asking promotion's confirm window.
	Left time.Duration
	// Hold is who holds the target; nil, if no one does. Epoch is the one that was
	// granted last.
	Hold  *Holder
	Epoch int64
	// Kind is what the live release came with, Release what it is, without its closure;
	// nil, if that is not known. Intact says that all of it is in the store, that its
	// roots keep it there, and that the manifest is its own. They are only there where
	// they were asked for.
	Kind    string
	Release *Release
	Intact  bool
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
	return lookAt(ctx, host, line, plan, id, false)
}

// lookAt also asks for all that is known of the live release, if whole is set.
func lookAt(ctx context.Context, host Host, line func(string), plan *Plan, id string, whole bool) (*Look, error) {
	var rows [][]string
	for _, a := range plan.Artifacts {
		rows = append(rows, []string{"link", a.Link})
	}
	for _, unit := range plan.Restart {
		rows = append(rows, []string{"unit", unit})
	}
	rows = append(rows, []string{"folder", path.Dir(plan.Manifest)})
	out, err := host.Run(ctx, Script{
		Name: "look.sh", Code: targetHead + lookScript, Root: true, Reads: true, Stdin: table(rows...), Line: line,
		Env: map[string]string{"APP": plan.App, "ID": id, "STORE": storeDir, "MANIFEST": plan.Manifest, "WHOLE": strconv.FormatBool(whole)},
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
	l := &Look{
		Root: a.get("uid") == "0", User: a.get("user"), Systemd: a.get("systemd") == "yes",
		Nix: a.get("nix"), NixError: a.get("nix_error"), Zstd: a.get("zstd") == "yes",
		Free: a.kib("free"),
		Live: a.get("live"), LiveCommit: a.get("live_sha"), By: a.get("by"), Known: a.get("known") == "yes",
		Recorded: a.table("recorded"), ByHand: a.all("by_hand"),
		RolledBack: a.table("rolled_back"), Returned: a.table("returned"), Kind: a.get("kind"), Intact: a.get("intact") == "yes",
		Links: a.table("link"), Units: map[string]Unit{}, Exes: a.table("exe"), Stale: a.table("stale"),
		Occupied: a.all("occupied"), NoFolder: a.all("no_folder"),
		Begun: a.get("begun") == "yes", Reverted: a.get("reverted"), Stuck: a.get("stuck"), Hold: parseHolder(a.get("hold")),
	}
	l.Epoch, _ = strconv.ParseInt(a.get("epoch"), 10, 64)
	if text := a.get("json"); text != "" {
		if r := new(Release); json.Unmarshal([]byte(text), r) == nil && r.plain() == nil {
			l.Release = r
		}
	}
	l.Pending, l.Unguarded = pending(a)
	l.Since, _ = time.Parse(time.RFC3339, a.get("since"))
	left, _ := strconv.ParseUint(a.get("left"), 10, 31)
	l.Left = time.Duration(left) * time.Second
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

// pending is a promotion that waits. Of several it is one that may go back by
// itself any moment: what goes for the others goes for it as well.
func pending(a answer) (promotion string, unguarded bool) {
	left := a.all("unguarded")
	for _, promotion := range a.all("pending") {
		if !slices.Contains(left, promotion) {
			return promotion, false
		}
	}
	return a.get("pending"), len(left) > 0
}

// look is LookAt for the promotion itself.
func (p *Promotion) look(ctx context.Context, host Host) (*Look, error) {
	return LookAt(ctx, host, p.lineOf(host), &p.Plan, p.ID)
}

// recall is look, unless this run has looked a moment ago, and nothing can have changed
// since.
func (p *Promotion) recall(ctx context.Context, host Host) (*Look, error) {
	if look := p.Seen.look(host.Name()); look != nil {
		return look, nil
	}
	began := time.Now()
	look, err := p.look(ctx, host)
	if err == nil {
		p.Seen.keepLook(host.Name(), began, look)
	}
	return look, err
}

// missing are those of the units that systemd does not know.
func (l *Look) missing(units []string) []string {
	return slices.DeleteFunc(slices.Clone(units), func(unit string) bool { return l.Units[unit].Loaded() })
}

// Sound reports whether the units are up, and run no other release.
func (l *Look) Sound(units []string) bool {
	for _, name := range units {
		if !l.Units[name].Up() {
			return false
		}
	}
	return len(l.Stale) == 0
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
