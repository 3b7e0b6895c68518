package main

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// A job of the model takes a few of these, so that a cut may find it half-way.
const jobStep = 3 * time.Millisecond

// start runs a job beside all that asks; a job lives by itself.
func (m *model) start(id, verb, reason string, attempt int) {
	m.jobs.Go(func() {
		m.lock <- id + " " + verb
		m.mu.Lock()
		m.who = id + " " + verb
		k := m.dir(id)
		m.mu.Unlock()
		if verb == "apply" {
			m.apply(id, k)
		} else {
			m.revert(id, k, reason)
		}
		<-m.lock
	})
}

func (m *model) free() bool { return len(m.lock) == 0 }

// step does a part of a job in one go, and then takes a moment.
func (m *model) step(fn func()) {
	m.mu.Lock()
	fn()
	m.mu.Unlock()
	time.Sleep(jobStep)
}

// end is how a job ended.
func end(attempt int, result, text string) string {
	return fmt.Sprintf(`{"attempt":%d,"result":"%s","unit":"","text":"%s"}`, attempt, result, text)
}

// permitted is that of apply.sh: why nothing is to be done.
func (m *model) permitted(id string, k *kept) string {
	switch {
	case k.job.epoch < m.epoch:
		return "another promotion has taken this target over"
	case !m.expected(id, k.job.live):
		return m.live + " is live since verify"
	}
	for other, o := range m.releases {
		if other != id && o.unfinished() {
			return "promotion " + other + " is not confirmed yet"
		}
	}
	was := k.previous
	if was == nil {
		was = k.job.was
	}
	for link, target := range was {
		if m.links[link] != target && m.links[link] != k.job.links[link] {
			return link + " was changed since verify"
		}
	}
	for _, target := range k.job.links {
		if !m.store[storeFolder(target)] {
			return "there is no executable " + target
		}
	}
	for _, path := range k.closure {
		if !m.store[path] {
			return path + " is damaged in the store"
		}
	}
	return ""
}

func (m *model) apply(id string, k *kept) {
	refused := ""
	m.step(func() {
		if refused = m.permitted(id, k); refused != "" {
			if k.unfinished() {
				m.goBack(id, k, refused)
				k.result = end(k.job.attempt, "reverted", refused)
				return
			}
			k.result = end(k.job.attempt, "refused", refused)
			return
		}
		m.applied[fmt.Sprintf("%s, attempt %d", id, k.job.attempt)]++
		m.begun++
		k.reverted, k.armed = "", time.Time{}
		if k.previous == nil {
			k.previous = map[string]string{}
			for link := range k.job.links {
				k.previous[link] = m.links[link]
			}
		}
		if k.confirmed == "" {
			k.epoch = k.job.epoch
		}
		k.begun = fmt.Sprint(k.job.attempt)
	})
	if refused != "" {
		return
	}
	for _, link := range slices.Sorted(maps.Keys(k.job.links)) {
		m.step(func() {
			m.links[link] = k.job.links[link]
			k.log = append(k.log, link+" -> "+k.job.links[link])
		})
	}
	for range k.job.units {
		m.step(m.restart)
	}
	m.step(func() {
		k.begun = "applied"
		m.note("applied", k.job.ledger)
		if k.job.confirm > 0 {
			m.openWindow(id, k, k.job.confirm)
		}
		k.result = end(k.job.attempt, "applied", "")
	})
}

// restart has the unit run what the first link leads to.
func (m *model) restart() {
	m.restarts++
	m.exe = m.links[slices.Min(slices.Collect(maps.Keys(m.links)))]
}

// goBack puts back what previous says.
func (m *model) goBack(id string, k *kept, reason string) {
	m.begun++
	for link, was := range k.previous {
		if was == "" {
			delete(m.links, link)
		} else {
			m.links[link] = was
		}
	}
	if m.exe = ""; len(m.links) > 0 {
		m.restart()
	}
	k.begun = ""
	m.note("reverted", k.job.ledger)
	k.reverted = reason
	k.armed = time.Time{}
}

func (m *model) revert(id string, k *kept, reason string) {
	m.step(func() {
		if k.confirmed != "" {
			m.live, k.confirmed = "", ""
			if k.before != nil {
				m.live = *k.before
			}
		}
		switch {
		case k.begun == "" && k.reverted != "":
			k.armed = time.Time{}
			k.revert = end(k.job.attempt, "reverted", k.reverted)
		case k.begun == "":
			k.armed = time.Time{}
			k.revert = end(k.job.attempt, "untouched", "")
		default:
			m.goBack(id, k, reason)
			k.revert = end(k.job.attempt, "reverted", reason)
		}
	})
}

// openWindow lets the release go back, unless it is confirmed in time.
func (m *model) openWindow(id string, k *kept, seconds int) {
	k.armed = time.Now().Add(time.Duration(seconds) * time.Second)
	time.AfterFunc(time.Duration(seconds)*time.Second, func() { m.expire(id, k) })
}

func (m *model) expire(id string, k *kept) {
	for {
		m.mu.Lock()
		armed := k.armed
		m.mu.Unlock()
		if armed.IsZero() {
			return
		}
		if rest := time.Until(armed); rest > 0 {
			time.Sleep(rest)
			continue
		}
		m.lock <- id + " expire"
		m.mu.Lock()
		over := !k.armed.IsZero() && !time.Now().Before(k.armed)
		m.mu.Unlock()
		if over {
			m.revert(id, k, fmt.Sprintf("not confirmed within %ds", k.job.confirm))
		}
		<-m.lock
	}
}
