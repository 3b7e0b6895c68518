package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/remote"
)

// tail follows the file of an attempt's output, which another process writes. What is
// noted is in there too, and is shown as the event that it is.
type tail struct {
	path string
	file *os.File
	// glance says that only the file's end is of interest.
	glance bool
	// rest is a line that has no end yet, lines are those that were not shown.
	rest  []byte
	lines []string
	// notes are those that the file has, or will have, each as often as it was noted.
	notes map[string]int
}

// tailGlance is how many bytes of the output are shown to who begins to watch.
const tailGlance = 4 << 10

// open follows the file of a path, once there is one.
func (t *tail) open(path string, glance bool) {
	t.close()
	*t = tail{path: path, glance: glance, notes: map[string]int{}}
}

func (t *tail) close() {
	if t.file != nil {
		t.file.Close()
	}
	*t = tail{}
}

// expect is told of an event that may be in the file.
func (t *tail) expect(ev *journal.Event) {
	if ev.Kind == journal.Note && t.notes != nil {
		t.notes[ev.Host+": "+ev.Text]++
	}
}

// fetch reads what was written to the file. Best effort, as the file itself is.
func (t *tail) fetch() {
	if t.file == nil && t.path != "" {
		t.file, _ = os.Open(t.path)
		if t.file != nil && t.glance {
			t.skip()
		}
	}
	if t.file == nil {
		return
	}
	// The file is bounded: outputCap.
	text, _ := io.ReadAll(t.file)
	t.rest = append(t.rest, text...)
	for {
		line, rest, ended := bytes.Cut(t.rest, []byte("\n"))
		if !ended {
			return
		}
		t.lines, t.rest = append(t.lines, string(line)), rest
	}
}

// skip goes to the file's last lines.
func (t *tail) skip() {
	info, err := t.file.Stat()
	if err != nil || info.Size() <= tailGlance {
		return
	}
	if _, err := t.file.Seek(-tailGlance, io.SeekEnd); err == nil {
		// Most likely in the midst of a line.
		begun := make([]byte, tailGlance)
		n, _ := io.ReadFull(t.file, begun)
		_, after, _ := bytes.Cut(begun[:n], []byte("\n"))
		t.rest = bytes.Clone(after)
	}
}

// print shows the lines that were read and are no notes.
func (t *tail) print(show func(host, text string)) {
	for _, line := range t.lines {
		// 18:32:29 choiros-prod: what it printed
		if len(line) <= len(time.TimeOnly) {
			continue
		}
		line = line[len(time.TimeOnly)+1:]
		if t.notes[line] > 0 {
			t.notes[line]--
			continue
		}
		if host, text, ok := strings.Cut(line, ": "); ok {
			show(host, remote.Clean(text))
		}
	}
	t.lines = nil
}

// finish shows what there is, before another file is followed.
func (t *tail) finish(show func(host, text string)) {
	t.fetch()
	t.print(show)
}
