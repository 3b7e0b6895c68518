package show

import "slices"

// TailLines is how many lines of the hosts' output a failure repeats.
const TailLines = 30

// LastLines are the last lines that the hosts printed in an attempt.
type LastLines struct {
	lines []said
	hosts []string
}

// said is a line that a host printed.
type said struct{ host, text string }

// Add keeps a line, and forgets those that are more than so many.
func (l *LastLines) Add(host, text string, most int) {
	if !slices.Contains(l.hosts, host) {
		l.hosts = append(l.hosts, host)
	}
	if l.lines = append(l.lines, said{host, text}); len(l.lines) > most {
		l.lines = l.lines[1:]
	}
}

// Texts are the lines: with their hosts' names, where several have printed. That all which
// is left is of one of them does not tell of which.
func (l *LastLines) Texts() (texts []string) {
	for _, s := range l.lines {
		text := s.text
		if len(l.hosts) > 1 {
			text = HostPrefix(s.host) + text
		}
		texts = append(texts, text)
	}
	return texts
}
