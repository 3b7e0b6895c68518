package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"choir.chat/rel/cmd/rel/show"
	"choir.chat/rel/phases"
)

// inWords is a fact of a phase, in words.
type inWords struct{ host, text string }

// factsOf are the facts that an attempt has recorded, but for what its notes, by host,
// have said already.
func factsOf(f *phases.Facts, said map[string][]string) (list []inWords) {
	add := func(host, format string, args ...any) {
		list = append(list, inWords{host, fmt.Sprintf(format, args...)})
	}
	if f.Sync != nil {
		for _, host := range slices.Sorted(maps.Keys(f.Sync.Before)) {
			if len(said[host]) == 0 {
				add(host, "was at %s", shortOr(f.Sync.Before[host], "no commit"))
			}
		}
	}
	if f.Verify != nil {
		for _, host := range slices.Sorted(maps.Keys(f.Verify.Targets)) {
			if was := f.Verify.Targets[host]; was.Live != "" {
				add(host, "live before: %s (%s)", was.Live, shortOr(was.Commit, "no commit"))
			}
		}
	}
	if r := f.Build; r != nil {
		for i := range r.Outputs {
			add("", "%s: %s", r.Outputs[i].Name, r.Outputs[i].Path)
		}
		if len(said) == 0 {
			add("", "closure: %s, %s", phases.CountText(len(r.Closure), "path"), phases.BytesText(r.Bytes))
		}
	}
	if f.Copy != nil {
		for _, host := range slices.Sorted(maps.Keys(f.Copy.Targets)) {
			sent := f.Copy.Targets[host]
			tellSent(add, host, "", &sent)
			for i := range sent.Ahead {
				tellSent(add, host, "while the rest was being built: ", &sent.Ahead[i])
			}
		}
	}
	if f.Apply != nil {
		for _, host := range slices.Sorted(maps.Keys(f.Apply.Targets)) {
			// Where it is not known how it ended there is no result.
			if o := f.Apply.Targets[host]; o.Result != "" {
				add(host, "%s", strings.TrimSuffix(fmt.Sprintf("%s by attempt %d: %s", o.Result, o.Attempt, o.Text), ": "))
			}
		}
	}
	if f.Health != nil {
		for _, r := range f.Health.Results {
			begins := fmt.Sprintf("check %q ", r.Check)
			if !slices.ContainsFunc(said[r.Host], func(note string) bool { return strings.HasPrefix(note, begins) }) {
				add("", "%s", r)
			}
		}
	}
	return list
}

// tellSent is about what one target was sent.
func tellSent(add func(host, format string, args ...any), host, when string, s *phases.Sent) {
	if s.Paths == 0 {
		if when == "" && len(s.Ahead) == 0 {
			add(host, "nothing was sent")
		}
		return
	}
	text := fmt.Sprintf("%s%s, %s sent", when, phases.CountText(s.Paths, "path"), phases.BytesText(s.Bytes))
	if s.Unpacked > 0 {
		text += " for " + phases.BytesText(s.Unpacked)
	}
	if s.Way != "" {
		text += ", " + s.Way
	} else if s.Relayed {
		text += ", " + phases.Relayed
	}
	if s.Millis > 0 {
		took := time.Duration(s.Millis) * time.Millisecond
		text += fmt.Sprintf(", in %s (%s/s)", show.Millis(s.Millis), phases.BytesText(int64(float64(s.Bytes)/took.Seconds())))
	}
	if s.Why != "" {
		text += ": " + s.Why
	}
	add(host, "%s", text)
	for _, path := range slices.Sorted(maps.Keys(s.Bases)) {
		add(host, "as a patch: %s, to %s", path, s.Bases[path])
	}
}
