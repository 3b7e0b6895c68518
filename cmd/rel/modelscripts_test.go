package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// scripts are all that a scripted host knows: each by the first words of its own
// comment, and what it answers and does.
var scripts = []struct {
	name, sentence string
	answer         func(*call, *model) uint32
}{
	{"pin", "Resolve the commit to promote,", answers(pinned)},
	{"sync", "Bring a checkout to exactly one commit", answers(synced)},
	{"ancestor", "Answer whether the commit OLD leads", answers(ancestor)},
	{"checkout", "Answer where a checkout is", answers(checkout)},
	{"build", "Build all artifacts from the checkout", answers(build)},
	{"known", "Tell what Nix knows of store paths.", answers(known)},
	{"valid", "Answer which store paths are not valid", answers(valid)},
	{"settle", "Take a file with scp, and make it the one it is to be", answers(settle)},
	{"look", "Answer what a target is like now.", answers(look)},
	{"take", "Take the hold of a target", answers(take)},
	{"beat", "Keep the hold of a target alive", beat},
	{"release", "Let the hold of a target go", answers(release)},
	{"receive", "Make a target ready to receive", answers(receive)},
	{"send", "Write what a target lacks to standard output", send},
	{"unpack", "Take what weave.sh wrote into the store.", unpack},
	{"start", "Start the job on a target", startJob},
	{"extend", "Let the confirm window begin anew", answers(extend)},
	{"confirm", "Make an applied release the confirmed one", answers(confirm)},
	{"journal", "Show what the units said", answers(nothing)},
	{"anchors", "Answer what this target's own record says.", answers(anchors)},
}

// reply is what a script prints, and how it ends.
type reply struct {
	lines  []string
	status uint32
}

func (r *reply) say(format string, args ...any) {
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}

// answers is a script that reads its input, does all that it does in one go, and
// answers.
func answers(fn func(c *call, m *model, r *reply)) func(*call, *model) uint32 {
	return func(c *call, m *model) uint32 {
		var r reply
		m.mu.Lock()
		fn(c, m, &r)
		m.mu.Unlock()
		for _, line := range r.lines {
			fmt.Fprintln(c.out, line)
		}
		return r.status
	}
}

// fenced is that of target.sh.
func fenced(c *call, m *model, r *reply) bool {
	epoch, _ := strconv.Atoi(c.env["EPOCH"])
	if epoch < m.epoch {
		r.say("%s", m.holding("fenced"))
	}
	return epoch < m.epoch
}

// whole is that of target.sh.
func whole(rows []string) bool { return len(rows) > 0 && rows[len(rows)-1] == "# end" }

func nothing(*call, *model, *reply) {}

func pinned(c *call, m *model, r *reply) {
	r.say("commit=%s", m.commits[len(m.commits)-1])
	r.say("subject=the newest")
	for line := range strings.Lines(m.files[c.env["MANIFEST"]]) {
		r.say("manifest=%s", strings.TrimSuffix(line, "\n"))
	}
	checkout(c, m, r)
}

func synced(c *call, m *model, r *reply) {
	if strings.Contains(c.code, "\nfence\numask 022\n") && fenced(c, m, r) {
		return
	}
	switch tip := m.commits[len(m.commits)-1]; {
	case c.env["STEP"] == "look":
		r.say("commit=%s", cmp.Or(c.env["COMMIT"], tip))
		r.say("user=root")
	case m.head == c.env["FROM"]:
		m.head = c.env["COMMIT"]
	}
	checkout(c, m, r)
}

func ancestor(c *call, m *model, r *reply) {
	old, young := slices.Index(m.commits, c.env["OLD"]), slices.Index(m.commits, c.env["NEW"])
	if old >= 0 && old <= young {
		r.say("ancestor=yes")
	} else {
		r.say("ancestor=no")
	}
}

func checkout(c *call, m *model, r *reply) {
	r.say("head=%s", m.head)
	if c.env["BUILDS"] == "true" {
		r.say("nix=nix (Nix) 2.18.1")
		r.say("free=99999999")
	}
}

func build(c *call, m *model, r *reply) {
	if m.head != c.env["COMMIT"] {
		r.say("moved=%s", m.head)
		return
	}
	rows := c.rows()
	for _, path := range m.closure {
		m.store[path] = true
	}
	var manifest, artifacts []string
	for _, row := range rows {
		kind, rest, _ := strings.Cut(row, "\t")
		if kind == "line" {
			manifest = append(manifest, rest)
			continue
		}
		f := strings.Split(rest, "\t")
		out := m.outputs[f[0]]
		r.say("built=%s\t[{\"outputs\":{\"out\":%q}}]", f[0], out)
		artifacts = append(artifacts, f[3]+"_PATH="+out, f[3]+"_BIN="+out+"/"+f[2])
	}
	m.files[c.env["MANIFEST"]] = strings.Join(append(manifest, artifacts...), "\n") + "\n"
	for _, path := range m.closure {
		r.say("path=%s", path)
	}
	infos(m.closure, r)
}

func valid(c *call, m *model, r *reply) { missing(c.rows(), m, r) }

func missing(paths []string, m *model, r *reply) {
	for _, path := range paths {
		if !m.store[path] {
			r.say("missing=%s", path)
		}
	}
}

func settle(c *call, m *model, r *reply) {
	data, arrived := c.sink()
	text := string(data)
	if sum := sha256.Sum256(data); !arrived || hex.EncodeToString(sum[:]) != c.env["SHA256"] {
		r.status = 1
		return
	}
	to := c.env["TO"]
	m.files[to] = text
	if rest, ok := strings.CutPrefix(to, "/var/lib/rel/app/releases/"); ok {
		m.dir(path.Dir(rest)).manifest = text
	}
}

func receive(c *call, m *model, r *reply) {
	if fenced(c, m, r) {
		return
	}
	k, rows := m.dir(c.env["ID"]), c.rows()
	if !whole(rows) {
		r.status = 1
		return
	}
	k.rows, k.closure = nil, nil
	for _, row := range rows[:len(rows)-1] {
		if path, ok := strings.CutPrefix(row, "path\t"); ok {
			k.closure = append(k.closure, path)
		} else {
			k.rows = append(k.rows, row)
		}
	}
	if k.confirmed == "" {
		k.epoch, _ = strconv.Atoi(c.env["EPOCH"])
	}
	missing(k.closure, m, r)
	r.say("free=99999999")
	r.say("accept=")
}

func take(c *call, m *model, r *reply) {
	over, _ := strconv.Atoi(c.env["OVER"])
	if m.holder != nil && m.holder.age() < 15 && m.holder.epoch != over {
		r.say("%s", m.holding("held"))
		return
	}
	replaced := ""
	if m.holder != nil {
		r.say("%s", m.holding("over"))
		replaced = fmt.Sprintf(`,"over":%q,"of":%q`, m.holder.id, m.holder.operator)
	}
	m.epoch++
	m.holder = &holder{epoch: m.epoch, id: c.env["ID"], beat: time.Now(), since: stamp(), key: c.env["KEY"], operator: c.env["OPERATOR"]}
	m.note("held", fmt.Sprintf(`%s,"epoch":%d%s`, c.env["LEDGER"], m.epoch, replaced))
	r.say("room=99999999\nepoch=%d", m.epoch)
}

func beat(c *call, m *model) uint32 {
	epoch, _ := strconv.Atoi(c.env["EPOCH"])
	since := stamp()
	for {
		phase, err := c.in.ReadString('\n')
		if err != nil {
			return 0
		}
		m.mu.Lock()
		lost := ""
		if m.epoch != epoch {
			lost = m.holding("lost")
		} else {
			m.holder = &holder{epoch: epoch, id: c.env["ID"], phase: strings.TrimSuffix(phase, "\n"), beat: time.Now(),
				since: since, key: c.env["KEY"], operator: c.env["OPERATOR"]}
		}
		m.mu.Unlock()
		if lost != "" {
			fmt.Fprintln(c.out, lost)
			return 0
		}
		fmt.Fprintln(c.out, "beat=yes")
	}
}

func release(c *call, m *model, r *reply) {
	if m.holder == nil || c.env["EPOCH"] != strconv.Itoa(m.holder.epoch) {
		return
	}
	if c.env["KEEP"] != "" && fenced(c, m, r) {
		m.faultLocked("who has the hold is fenced off")
	}
	m.note("released", c.env["LEDGER"])
	m.holder = nil
}

func look(c *call, m *model, r *reply) {
	r.say("uid=0\nuser=root\nsystemd=yes\nnix=nix-store (Nix) 2.18.1\nfree=99999999")
	r.say("%s\nepoch=%d", m.holding("hold"), m.epoch)
	var recorded []string
	if m.live != "" {
		live := m.dir(m.live)
		since, by, _ := strings.Cut(live.confirmed, "\t")
		r.say("live=%s\nlive_sha=%s\nsince=%s\nby=%s", m.live, live.first("sha"), since, by)
		recorded = live.row("link")
		if c.env["WHOLE"] == "true" {
			r.say("kind=%s\njson=%s", live.first("kind"), live.first("json"))
			if m.files[c.env["MANIFEST"]] == live.manifest {
				r.say("intact=yes")
			}
		}
	}
	for _, row := range recorded {
		r.say("recorded=%s", row)
	}
	if m.epoch > 0 {
		r.say("known=yes")
	}
	for _, id := range slices.Sorted(maps.Keys(m.releases)) {
		k := m.releases[id]
		if k.unfinished() {
			r.say("pending=%s", id)
		}
		if k.reverted != "" && (m.live == "" || m.dir(m.live).epoch < k.epoch) {
			r.say("returned=%s\t%s", id, k.reverted)
		}
	}
	if k := m.releases[c.env["ID"]]; c.env["ID"] != "" && k != nil {
		lookAtOwn(k, r)
	}
	lookAtLinks(c.rows(), recorded, m, r)
}

// lookAtOwn answers what came of the promotion that asks.
func lookAtOwn(k *kept, r *reply) {
	if k.begun != "" {
		r.say("begun=yes")
	}
	if k.result != "" {
		r.say("outcome=%s", k.result)
	}
	if k.reverted != "" {
		r.say("reverted=%s", k.reverted)
	}
	if left, open := k.left(); open {
		r.say("left=%d", left)
	}
}

func lookAtLinks(rows, recorded []string, m *model, r *reply) {
	var keptLinks []string
	for _, k := range m.releases {
		if k.begun != "" && k.confirmed == "" {
			keptLinks = append(keptLinks, k.row("link")...)
		}
	}
	for _, row := range recorded {
		link, target, _ := strings.Cut(row, "\t")
		if actual := m.links[link]; actual != target && slices.Contains(rows, "link\t"+link) && !slices.Contains(keptLinks, link+"\t"+actual) {
			r.say("by_hand=%s", link)
		}
	}
	for _, row := range rows {
		kind, name, _ := strings.Cut(row, "\t")
		switch {
		case kind == "link" && m.links[name] != "":
			r.say("link=%s\t%s", name, m.links[name])
		case kind == "unit":
			r.say("unit=%s\tLoadState=loaded ActiveState=active Type=simple Result=success MainPID=77", name)
			if m.exe == "" {
				continue
			}
			r.say("exe=%s\t%s", name, m.exe)
			if !slices.Contains(slices.Collect(maps.Values(m.links)), m.exe) {
				r.say("stale=%s\t%s", name, m.exe)
			}
		}
	}
}

// startJob starts the job, or finds it, and follows it to its end.
func startJob(c *call, m *model) uint32 {
	var r reply
	id, verb := c.env["ID"], c.env["VERB"]
	attempt, _ := strconv.Atoi(c.env["ATTEMPT"])
	rows := c.rows()
	if !whole(rows) {
		return 1
	}
	rows = rows[:slices.Index(rows, "---")]
	m.mu.Lock()
	k := m.dir(id)
	offset := 0
	over := func() bool {
		return verb == "apply" && strings.HasPrefix(k.result, fmt.Sprintf(`{"attempt":%d,`, attempt))
	}
	// An apply that runs is the one to follow.
	attach := over()
	for verb == "apply" && !attach && !m.free() {
		attach = m.who == id+" apply" && k.result == ""
		m.mu.Unlock()
		time.Sleep(jobStep)
		m.mu.Lock()
		attach = attach || over()
	}
	if !attach {
		if fenced(c, m, &r) {
			m.mu.Unlock()
			fmt.Fprintln(c.out, r.lines[0])
			return 0
		}
		k.job = parseJob(rows)
		if verb == "apply" {
			k.result = ""
		} else {
			k.revert = ""
		}
		offset = len(k.log)
		m.start(id, verb, c.env["REASON"], attempt)
	}
	m.mu.Unlock()
	return follow(c, m, k, verb, offset)
}

func follow(c *call, m *model, k *kept, verb string, offset int) uint32 {
	for quiet := 0; ; {
		m.mu.Lock()
		end := k.result
		if verb != "apply" {
			end = k.revert
		}
		lines := slices.Clone(k.log[min(offset, len(k.log)):])
		offset = len(k.log)
		if quiet++; !m.free() {
			quiet = 0
		}
		m.mu.Unlock()
		for _, line := range lines {
			fmt.Fprintln(c.err, line)
		}
		switch {
		case end != "":
			fmt.Fprintf(c.out, "end=%s\n", end)
			return 0
		case quiet > 20:
			fmt.Fprintln(c.out, "lost=yes")
			return 0
		}
		time.Sleep(jobStep)
	}
}

func extend(c *call, m *model, r *reply) {
	if fenced(c, m, r) {
		return
	}
	k := m.dir(c.env["ID"])
	if k.armed.IsZero() {
		return
	}
	seconds, _ := strconv.Atoi(c.env["CONFIRM"])
	k.armed = time.Now().Add(time.Duration(seconds) * time.Second)
	r.say("left=%d", seconds)
}

func confirm(c *call, m *model, r *reply) {
	if fenced(c, m, r) {
		return
	}
	id := c.env["ID"]
	k := m.dir(id)
	if k.reverted != "" {
		r.say("refused=it went back: %s", k.reverted)
		return
	}
	rows := c.rows()
	if !whole(rows) {
		r.status = 1
		return
	}
	j := parseJob(rows)
	if !m.expected(id, j.live) {
		r.say("refused=%s is live since verify", m.live)
		return
	}
	for link, target := range j.links {
		if m.links[link] != target {
			r.say("refused=%s points elsewhere", link)
			return
		}
	}
	if len(j.links) == 0 {
		m.faultLocked("%s is confirmed, and no link was looked at", id)
	}
	was := m.live
	if was != id {
		k.before = &was
		m.files[c.env["MANIFEST"]] = k.manifest
	}
	k.confirmed = stamp() + "\t" + c.env["BY"]
	m.live = id
	k.armed = time.Time{}
	if was != id {
		m.note("confirmed", j.ledger)
	}
	r.say("confirmed=yes")
}

func anchors(c *call, m *model, r *reply) {
	for _, line := range m.ledger {
		if !json.Valid([]byte(line)) {
			continue
		}
		r.say("line=%s", line)
	}
}
