package main

import "slices"

// lastLines are the last lines that the hosts printed in an attempt.
type lastLines struct {
	lines []said
	hosts []string
}

// said is a line that a host printed.
type said struct{ host, text string }

// add keeps a line, and forgets those that are more than so many.
func (l *lastLines) add(host, text string, most int) {
	if !slices.Contains(l.hosts, host) {
		l.hosts = append(l.hosts, host)
	}
	if l.lines = append(l.lines, said{host, text}); len(l.lines) > most {
		l.lines = l.lines[1:]
	}
}

// texts are the lines: with their hosts' names, where several have printed. That all which
// is left is of one of them does not tell of which.
func (l *lastLines) texts() (texts []string) {
	for _, s := range l.lines {
		text := s.text
		if len(l.hosts) > 1 {
			text = hostPrefix(s.host) + text
		}
		texts = append(texts, text)
	}
	return texts
}
