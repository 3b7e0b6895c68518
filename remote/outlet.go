package remote

import (
	"bytes"
	"io"
	"sync"
)

// outlet is one of a shell's outputs. It tells what a script says from what comes before
// and after it, by the words that stand between.
type outlet struct {
	mu sync.Mutex
	// mark is looked for, and to takes what comes before it.
	mark mark
	to   io.Writer
	seen []byte
	// fail is told of a write that failed: output that nobody takes would block the
	// script, and its session.
	fail func(error)
}

// mark is a word in an output. With numbered, a number and the end of the line go with
// it. found is told once it was seen, with the outlet locked, and sets what comes next.
type mark struct {
	word     string
	numbered bool
	found    func(number string)
}

// set has the outlet look for a mark.
func (o *outlet) set(m mark, to io.Writer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mark, o.to = m, to
}

func (o *outlet) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.write(b); err != nil {
		o.fail(err)
		return 0, err
	}
	return len(b), nil
}

func (o *outlet) write(b []byte) error {
	o.seen = append(o.seen, b...)
	for {
		at, end, number := o.mark.find(o.seen)
		before := o.seen[:at]
		o.seen = o.seen[end:]
		if len(before) > 0 {
			if _, err := o.to.Write(before); err != nil {
				return err
			}
		}
		if end == at {
			o.seen = append([]byte(nil), o.seen...)
			return nil
		}
		o.mark.found(number)
	}
}

// end passes on what was kept because it might have been the beginning of a mark.
func (o *outlet) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, _ = o.to.Write(o.seen)
	o.seen = nil
}

// numberCap is the most digits of a mark's number.
const numberCap = 11

// find says where the mark is in a text. If it is not there, at and end are both where
// it may yet begin: nothing that is no part of a mark is kept back.
func (m mark) find(text []byte) (at, end int, number string) {
	for from := 0; m.word != ""; {
		i := bytes.Index(text[from:], []byte(m.word))
		if i < 0 {
			break
		}
		at, end = from+i, from+i+len(m.word)
		if !m.numbered {
			return at, end, ""
		}
		digits := end
		for end < len(text) && end-digits < numberCap && text[end] >= '0' && text[end] <= '9' {
			end++
		}
		switch {
		case end == len(text):
			return at, at, ""
		case text[end] == '\n' && end > digits:
			return at, end + 1, string(text[digits:end])
		}
		from = at + 1
	}
	for n := min(len(m.word)-1, len(text)); n > 0; n-- {
		if bytes.HasSuffix(text, []byte(m.word[:n])) {
			return len(text) - n, len(text) - n, ""
		}
	}
	return len(text), len(text), ""
}
