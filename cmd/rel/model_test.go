package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// model is what a host is, as far as rel can tell: the build host, or a target. What
// the scripts do to files and units is done here to these fields, and no script is
// seen half-way. A job goes on by itself.
type model struct {
	mu sync.Mutex
	// commits are those of the branch, oldest first; head is the checkout's.
	commits []string
	head    string
	// outputs are what a build of the newest commit makes, by artifact; closure is
	// what they consist of, references first.
	outputs map[string]string
	closure []string
	store   map[string]bool
	// commitOf tells which commit a store path was built from.
	commitOf map[string]string
	links    map[string]string
	// exe is what the unit's main process runs.
	exe      string
	files    map[string]string
	releases map[string]*kept
	live     string
	// epoch is the highest that was granted, holder who has the hold.
	epoch  int
	holder *holder
	ledger []string
	// lock is the apply.lock, and who has it; applying is closed to end all jobs.
	lock chan string
	who  string
	// jobs counts those that run.
	jobs sync.WaitGroup

	// What is never to happen, and what is to be counted.
	faults  []string
	applied map[string]int
	// restarts counts those of the unit; begun the applies and reverts that came to
	// restart it.
	restarts, begun int
}

// kept is a folder releases/<id> on a target.
type kept struct {
	rows     []string
	closure  []string
	epoch    int
	manifest string
	job      job
	// log is apply.log; result and revert are the ends of the jobs.
	log            []string
	result, revert string
	previous       map[string]string
	begun          string
	armed          time.Time
	confirmed      string
	reverted       string
	before         *string
}

// holder is the text of the hold.
type holder struct {
	epoch                           int
	id, phase, since, key, operator string
	beat                            time.Time
}

// job is what the file of that name says.
type job struct {
	attempt, confirm int
	epoch            int
	live, ledger     string
	links            map[string]string
	was              map[string]string
	units            []string
}

func stamp() string { return time.Now().UTC().Format(time.RFC3339) }

// fault notes what is never to happen.
func (m *model) fault(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faultLocked(format, args...)
}

func (m *model) faultLocked(format string, args ...any) {
	m.faults = append(m.faults, fmt.Sprintf(format, args...))
}

// served is what the service answers: the commit of what runs.
func (m *model) served() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.commitOf[storeFolder(m.exe)]
}

// storeFolder is the store path that a binary lies in.
func storeFolder(binary string) string {
	parts := strings.SplitN(binary, "/", 5)
	if len(parts) < 5 {
		return ""
	}
	return strings.Join(parts[:4], "/")
}

// dir is the folder of a promotion; it is there once it is asked for.
func (m *model) dir(id string) *kept {
	if m.releases[id] == nil {
		m.releases[id] = &kept{}
	}
	return m.releases[id]
}

// row is what follows the kind in the rows of that kind.
func (k *kept) row(kind string) (values []string) {
	for _, row := range k.rows {
		if value, ok := strings.CutPrefix(row, kind+"\t"); ok {
			values = append(values, value)
		}
	}
	return values
}

func (k *kept) first(kind string) string {
	if values := k.row(kind); len(values) > 0 {
		return values[0]
	}
	return ""
}

// content is where the release's links lead.
func (k *kept) content() string {
	return strings.Join(slices.Sorted(slices.Values(k.row("link"))), "\n")
}

// unfinished is that of target.sh.
func (k *kept) unfinished() bool {
	return !k.armed.IsZero() || k.begun != "" && k.confirmed == "" && k.begun != "applied"
}

// left is how many seconds are left of the confirm window.
func (k *kept) left() (seconds int, open bool) {
	return int(time.Until(k.armed) / time.Second), !k.armed.IsZero()
}

// expected is that of target.sh.
func (m *model) expected(id, was string) bool {
	return m.live == was || m.live == id ||
		m.live != "" && m.dir(m.live).content() == m.dir(id).content()
}

// holding is the answer that says who holds the target.
func (m *model) holding(key string) string {
	h := m.holder
	if h == nil {
		return key + "="
	}
	return fmt.Sprintf("%s=%d|%s|%s|%d|%s|%s|%s", key, h.epoch, h.id, h.phase, h.age(), h.since, h.key, h.operator)
}

func (h *holder) age() int { return int(time.Since(h.beat) / time.Second) }

// note is a line of the ledger.
func (m *model) note(what, members string) {
	line := fmt.Sprintf(`{"at":"%s","what":"%s",%s}`, stamp(), what, members)
	if !json.Valid([]byte(line)) {
		m.faultLocked("a line of the ledger is no JSON: %s", line)
	}
	m.ledger = append(m.ledger, line)
}

// told counts the lines of the ledger that say so of a promotion.
func (m *model) told(what, id string) (n int) {
	for _, line := range m.ledger {
		if strings.Contains(line, `"what":"`+what+`"`) && strings.Contains(line, `"promotion":"`+id+`"`) {
			n++
		}
	}
	return n
}

// parseJob reads a job's rows.
func parseJob(rows []string) job {
	j := job{links: map[string]string{}, was: map[string]string{}}
	for _, row := range rows {
		kind, value, _ := strings.Cut(row, "\t")
		name, target, _ := strings.Cut(value, "\t")
		switch kind {
		case "attempt":
			_, _ = fmt.Sscan(value, &j.attempt)
		case "epoch":
			_, _ = fmt.Sscan(value, &j.epoch)
		case "confirm":
			_, _ = fmt.Sscan(value, &j.confirm)
		case "live":
			j.live = value
		case "ledger":
			j.ledger = value
		case "link":
			j.links[name] = target
		case "was":
			j.was[name] = target
		case "unit":
			j.units = append(j.units, value)
		}
	}
	return j
}

// idle waits until no job runs, and returns what the links are then.
func (m *model) idle() map[string]string {
	m.jobs.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.links)
}
