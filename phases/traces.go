package phases

import (
	"context"
	_ "embed"
	"encoding/json"
)

//go:embed doctor-traces.sh
var tracesScript string

// Traces are what promotions have left behind on a target.
type Traces struct {
	// Temporary are files that a script which was cut has left.
	Temporary []string
	// Unknown are promotions that have GC roots here and nothing else, Idle those
	// that have never been live.
	Unknown, Idle []string
	// Timers are the units that would take a release back.
	Timers []string
	// Bytes is how large the closure of the live release is; zero without one.
	Bytes int64
}

// FindTraces asks a target what promotions have left behind.
func FindTraces(ctx context.Context, host Host, plan *Plan) (*Traces, error) {
	var links []string
	for _, a := range plan.Artifacts {
		links = append(links, a.Link)
	}
	out, err := host.Run(ctx, Script{
		Name: "doctor-traces.sh", Code: targetHead + tracesScript, Root: true, Reads: true, Stdin: lines(links),
		Env: map[string]string{"APP": plan.App, "ID": ""},
	})
	if err != nil {
		return nil, err
	}
	a, err := parseAnswer(host.Name(), "doctor-traces.sh", out)
	if err != nil {
		return nil, err
	}
	t := &Traces{Temporary: a.all("temporary"), Unknown: a.all("root"), Idle: a.all("idle"), Timers: a.all("timer")}
	var live Release
	// A record that cannot be read tells nothing, here as little as elsewhere.
	if json.Unmarshal([]byte(a.get("json")), &live) == nil {
		t.Bytes = live.Bytes
	}
	return t, nil
}
