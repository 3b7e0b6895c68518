package phases

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
	"strings"

	"choir.chat/rel/phases/serve"
)

const (
	// patchLeast is the smallest archive that may go as a patch: for less the two
	// archives that it takes cost more time than the bytes.
	patchLeast = 4 << 20
	// patchMost is the largest, and the largest base: zstd holds both in memory, and its
	// window is of 2^27 bytes (weave.sh).
	patchMost = 128 << 20
	// patchesMost is the most that the patches of a copy make: that lies there, on the disk
	// of a host that has other work, until the last of them has worked.
	patchesMost = 2 << 30
)

// cargo is what a target lacks.
type cargo struct {
	infos []*serve.Info
	// bases are paths that the target has, by the missing ones that may go as a patch to
	// them.
	bases map[string]string
	// accept names the compressions that the target can undo, best first.
	accept string
	// closure is all that it has to have in the end, and roots those that it is of.
	closure, roots []string
}

func newCargo(p *Promotion, infos []Info, ready readiness) *cargo {
	release := p.Release()
	c := &cargo{accept: ready.accept, closure: release.Closure, roots: p.roots(), bases: map[string]string{}}
	var made int64
	for _, i := range ready.missing {
		info := infos[i].full(release.Closure, i)
		c.infos = append(c.infos, info)
		// What is made of a patch lies there beside its base, for a while.
		if base := ready.bases[info.Path]; isStorePath(base) && ready.room > 2*(made+info.Size+patchMost) && made+info.Size <= patchesMost {
			c.bases[info.Path] = base
			made += info.Size
		}
	}
	return c
}

// bytes is how large it is unpacked.
func (c *cargo) bytes() (sum int64) {
	for _, info := range c.infos {
		sum += info.Size
	}
	return sum
}

const (
	// packed and patched are what part of an archive goes over the wire, as zstd -3 and as
	// a patch: of a Go binary 28 and, of one with a new function, 14 per cent were
	// measured. They are for estimates.
	packed  = 0.3
	patched = 0.15
	// packedLeast and patchedLeast are what it may well be: of text, and of a program whose
	// version alone is another (measured: 3.9 kB of 16.5 MB).
	packedLeast  = 0.1
	patchedLeast = 0.0005
)

// estimate is about how many bytes will be sent, and least how few that may be.
func (c *cargo) estimate() float64 { return c.sum(packed, patched) }
func (c *cargo) least() float64    { return c.sum(packedLeast, patchedLeast) }

func (c *cargo) sum(packed, patched float64) (sum float64) {
	for _, info := range c.infos {
		if c.bases[info.Path] != "" {
			sum += patched * float64(info.Size)
		} else {
			sum += packed * float64(info.Size)
		}
	}
	return sum
}

// alike tells cargoes from each other that are not the same stream.
func (c *cargo) alike() string {
	var b strings.Builder
	b.WriteString(c.accept)
	for _, info := range c.infos {
		b.WriteString("\n" + info.Path + "\t" + c.bases[info.Path])
	}
	return b.String()
}

// rows are what weave.sh makes the stream of; or where it has it already. They go to a session
// of their own, which nothing else packs.
func (c *courier) rows() io.Reader {
	var b strings.Builder
	row := func(fields ...string) { b.WriteString(strings.Join(fields, "\t") + "\n") }
	row("accept", c.accept)
	row("bundle", c.bundle)
	if c.bundle == "" {
		c.cargo.rows(row)
	}
	return packRows(b.String())
}

// rows are those of the cargo.
func (c *cargo) rows(row func(...string)) {
	for _, root := range c.roots {
		row("root", root)
	}
	for _, info := range c.infos {
		var r serve.Requests
		r.Add(info)
		request := r.Bytes()
		row("path", info.Path, strconv.FormatInt(info.Size, 10), strconv.Itoa(len(request)), octal(request), c.bases[info.Path])
	}
}

// packRows are rows as take_rows has them: of a thousand paths they are 800 kB, and a quarter
// of that packed.
func packRows(rows string) io.Reader {
	var b bytes.Buffer
	text := base64.NewEncoder(base64.StdEncoding, &b)
	zip := gzip.NewWriter(text)
	_, _ = io.WriteString(zip, rows) // to memory, all of them
	_, _ = zip.Close(), text.Close()
	b.WriteString("\n" + lastLine)
	return &b
}

// octal writes bytes as a format of printf.
func octal(bytes []byte) string {
	var b strings.Builder
	for _, c := range bytes {
		switch {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '/', c == '.', c == '-', c == '_', c == '+', c == '=', c == ':':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, `\%03o`, c)
		}
	}
	return b.String()
}

// receipt is what a target answers to the stream.
type receipt struct {
	// added is how many of the paths it has taken.
	added int
	// lacks are those of the closure that are not valid in the end.
	lacks []string
}

// read reads it, and tells seen of each path.
func (c *cargo) read(in io.Reader, seen func()) (*receipt, error) {
	answers := serve.NewAnswers(in)
	r := new(receipt)
	if err := answers.Greeting(); err != nil {
		return r, err
	}
	if _, err := answers.Paths(); err != nil {
		return r, err
	}
	for range c.infos {
		if err := answers.Added(); err != nil {
			return r, err
		}
		r.added++
		seen()
	}
	valid, err := answers.Paths()
	if err != nil {
		return r, err
	}
	has := map[string]bool{}
	for _, path := range valid {
		has[path] = true
	}
	for _, path := range c.closure {
		if !has[path] {
			r.lacks = append(r.lacks, path)
		}
	}
	return r, nil
}
