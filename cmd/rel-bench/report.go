package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// names are what the report calls the parties.
var names = map[string]string{
	"predecessor": "predecessor", "rel": "**rel**",
	"nix-ssh": "`nix copy --to ssh://`", "nix-ssh-ng": "`nix copy --to ssh-ng://`",
	"closure-gzip": "`nix-copy-closure --gzip`", "rsync": "`rsync -az`, `--load-db`",
}

// report is BENCHMARKS.md. Remark is what else there is to say of how it was measured.
func report(list []measurement, remark string) string {
	var b strings.Builder
	b.WriteString("# Benchmarks\n\n")
	preface(&b, list)
	if remark != "" {
		b.WriteString(remark + "\n\n")
	}
	b.WriteString(method)
	var runs []run
	for _, m := range list {
		runs = append(runs, m.runs...)
	}
	// It takes what it takes, whatever is measured beside it.
	if i := slices.IndexFunc(list, func(m measurement) bool { return m.Help > 0 }); i >= 0 {
		fmt.Fprintf(&b, "\n`rel --help` takes %s, `ssh -V` beside it %s (medians of %d).\n", brief(list[i].Help), brief(list[i].SSH), lightRuns)
	}
	for i := range trials {
		t := &trials[i]
		own := slices.DeleteFunc(slices.Clone(runs), func(r run) bool { return r.Case != t.name })
		if len(own) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n## %s\n", t.title)
		for _, p := range placesOf(own) {
			here := slices.DeleteFunc(slices.Clone(own), func(r run) bool { return r.place != p })
			section(&b, t, p, here)
		}
	}
	return b.String()
}

// preface says on which machines it was measured, and how long that took.
func preface(b *strings.Builder, list []measurement) {
	told := ""
	for i := range list {
		m := &list[i]
		about, load, _ := strings.Cut(strings.TrimSuffix(m.About, "."), "; load ")
		if about != told {
			if told != "" {
				b.WriteByte('\n')
			}
			fmt.Fprintf(b, "Measured by `make bench`. %s:\n\n", about)
			told = about
		}
		fmt.Fprintf(b, "- %s in %s", strings.Join(m.cases(), ", "), m.Took.Round(time.Second))
		if load != "" {
			b.WriteString(", load " + load)
		}
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
}

// cases are those of its runs, in their order, each with the round trip times that it was
// measured at.
func (m *measurement) cases() (list []string) {
	var names []string
	at := map[string][]string{}
	for _, r := range m.runs {
		if !slices.Contains(names, r.Case) {
			names = append(names, r.Case)
		}
		if rtt := fmt.Sprint(r.RTT.Milliseconds()); !slices.Contains(at[r.Case], rtt) {
			at[r.Case] = append(at[r.Case], rtt)
		}
	}
	for _, name := range names {
		list = append(list, fmt.Sprintf("%s at %s ms", name, strings.Join(at[name], "/")))
	}
	return list
}

// placesOf are those of the runs, in their order.
func placesOf(runs []run) (list []place) {
	for i := range runs {
		if !slices.Contains(list, runs[i].place) {
			list = append(list, runs[i].place)
		}
	}
	return list
}

// section is the table of one case in one place.
func section(b *strings.Builder, t *trial, p place, runs []run) {
	least := medianOf(runs, func(r *run) int64 { return r.Least })
	bound := limit(t, p, least)
	fmt.Fprintf(b, "\n**%s**; the limit is %s: %d round trips of handshakes", p, seconds(bound), handshakes(t))
	if least > 0 {
		fmt.Fprintf(b, ", and %s to send", size(least))
	}
	b.WriteString(".\n\n| | runs | time | from - to | of rel's | of the limit | connections | round trips | operator <-> hosts | between the hosts | memory |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|\n")
	rels := of(runs, "rel")
	for _, party := range t.parties {
		own := of(runs, party)
		if len(own) == 0 {
			continue
		}
		line(b, party, own, rels, bound)
	}
	b.WriteString("\n")
	for _, party := range t.parties {
		stages(b, t, party, of(runs, party))
	}
}

func of(runs []run, party string) []run {
	return slices.DeleteFunc(slices.Clone(runs), func(r run) bool { return r.Party != party })
}

func line(b *strings.Builder, party string, own, rels []run, bound time.Duration) {
	middle := medianOf(own, wall)
	least := slices.MinFunc(own, func(a, b run) int { return int(a.Wall - b.Wall) }).Wall
	most := slices.MaxFunc(own, func(a, b run) int { return int(a.Wall - b.Wall) }).Wall
	ratio := "-"
	if len(rels) > 0 {
		ratio = times(middle, medianOf(rels, wall))
	}
	rounds := fmt.Sprint(medianOf(own, func(r *run) int { return r.Rounds }))
	if party == "rel" {
		rounds += fmt.Sprintf(" (%d beside handshakes)", medianOf(own, func(r *run) int { return r.Beside }))
	}
	memory := "-"
	if n := medianOf(own, func(r *run) int64 { return r.Memory }); n > 0 {
		memory = size(n)
	}
	fmt.Fprintf(b, "| %s | %d | %s | %s - %s | %s | %s | %d + %d | %s | %s | %s | %s |\n", names[party], len(own), seconds(middle), seconds(least), seconds(most),
		ratio, times(middle, bound),
		medianOf(own, func(r *run) int { return r.Conns }), medianOf(own, func(r *run) int { return r.Between }), rounds,
		size(medianOf(own, func(r *run) int64 { return r.Operator })), size(medianOf(own, func(r *run) int64 { return r.Sent })), memory)
}

// times is how many times one goes into the other.
func times(a, b time.Duration) string {
	if b <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f x", float64(a)/float64(b))
}

// stages are what a party's phases took, and what it took beside those that nobody can spare it.
func stages(b *strings.Builder, t *trial, party string, runs []run) {
	if t.bump == nil && !t.first && party == "rel" {
		return // which has recorded nothing then
	}
	var parts []string
	for _, phase := range []string{"sync", "verify", "build", "copy", "apply", "health"} {
		own := slices.DeleteFunc(slices.Clone(runs), func(r run) bool { _, ok := r.Phases[phase]; return !ok })
		if len(own) > 0 {
			parts = append(parts, phase+" "+seconds(medianOf(own, func(r *run) time.Duration { return r.Phases[phase] })))
		}
	}
	if len(parts) > 0 {
		beside := medianOf(runs, func(r *run) time.Duration { return r.Wall - r.Phases["build"] - r.Phases["apply"] })
		fmt.Fprintf(b, "- %s: %s", names[party], strings.Join(parts, ", "))
		if t.extra == "" { // there the clock is that of the copy alone
			fmt.Fprintf(b, "; beside build and apply %s", seconds(beside))
		}
		b.WriteString(".\n")
	}
}

const method = `## Method

The hosts are those of ` + "`remote/lab`" + `: a build host and a target, each with its own systemd, sshd, git and Nix, on this one machine, with
stores in memory. Before each sshd stands a TCP relay (` + "`remote/lab/link`" + `) that delays what passes by half the latency each way and lets
no more pass than the bandwidth, in each direction; another stands between the build host and the target. The same latency and
bandwidth hold for all three ways. What the relays do not have is loss and TCP's slow start; a handshake of x/crypto/ssh is one round
trip shorter than over a wire, where sshd's offer waits for the acknowledgement of its greeting. Origin and hosts have no distance.

- The parties run in turn, each with a commit of its own of the same kind, and in the cases of a whole release every second time in the
  opposite order; so what else the machine does meets all of them. Times are medians, with the fastest and the slowest.
- What a commit needs is built before the clock runs: the times are without the compiler. Units are restarted and watched in all of them.
- *predecessor* is ` + "`cmd/rel-bench/predecessor.sh`" + `: ten ssh connections, and ` + "`nix copy --from ssh://build --to ssh://target`" + ` on the operator. It
  pins nothing, records nothing and watches nothing.
- In the cases of copying alone the others run on the build host, over a login of its own at the target; what it copied is deleted again.
  Of rel it is the copy phase of a whole promotion, as its journal has it, with all its questions; its other figures are those of the
  promotion.
- Connections are those of the operator + those between the hosts. Round trips are the longest chain of questions of the operator's, counted
  by cause, or the build host's where the operator asks nothing; those beside handshakes are what is left when no handshake was under way. Bytes are TCP's payload in both directions.
- Memory is the most that a process of the operator held (` + "`getrusage`" + `).
- The limit is what cannot be had for less: the round trips of the handshakes (both hosts at once, and once more to confirm what has changed; to copy,
  the build host's at the target) and the bytes of the best delta through the bandwidth: each new path above 4 MB as
  ` + "`zstd -3 --long=27 --patch-from`" + ` the path of its name before it, and the rest as one stream of ` + "`zstd -3`" + `.
`
