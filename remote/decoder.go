package remote

import (
	"bytes"
	"io"
)

// decodedCap is the longest line that is decoded, in bytes: Nix puts the last lines of a
// build into its error, twice. What is longer passes as it is.
const decodedCap = 256 << 10

// decoder puts in the place of each line what it stands for.
type decoder struct {
	decode func(line string) string
	to     io.Writer
	rest   []byte
	// long says that rest goes on with a line that is too long.
	long bool
}

func (d *decoder) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		n := bytes.IndexByte(rest, '\n') + 1
		if n == 0 {
			n = len(rest)
		}
		d.rest, rest = append(d.rest, rest[:n]...), rest[n:]
		if err := d.pass(); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// pass passes on what is whole, or too long to be kept.
func (d *decoder) pass() error {
	ended := bytes.HasSuffix(d.rest, []byte{'\n'})
	if !ended && !d.long && len(d.rest) <= decodedCap {
		return nil
	}
	text := d.rest
	if !d.long && len(d.rest) <= decodedCap {
		text = []byte(d.decode(string(d.rest[:len(d.rest)-1])))
	}
	d.rest, d.long = d.rest[:0], !ended
	_, err := d.to.Write(text)
	return err
}

// end passes on a last line that has no end.
func (d *decoder) end() {
	if d != nil && len(d.rest) > 0 {
		d.rest = append(d.rest, '\n')
		_ = d.pass()
	}
}
