package remote

import (
	"bytes"
	"strings"
	"testing"
)

func TestDecoder(t *testing.T) {
	long := strings.Repeat("y", decodedCap+5)
	for _, size := range []int{1, 7, 1 << 20} {
		var out bytes.Buffer
		d := &decoder{to: &out, decode: func(line string) string {
			if line == "x" {
				return ""
			}
			return "<" + line + ">\n"
		}}
		in := "a\nx\n\n" + long + "\nb\nlast"
		for len(in) > 0 {
			n := min(size, len(in))
			if _, err := d.Write([]byte(in[:n])); err != nil {
				t.Fatal(err)
			}
			in = in[n:]
		}
		d.end()
		got := out.String()
		if !strings.HasPrefix(got, "<a>\n<>\n") || !strings.HasSuffix(got, "\n<b>\n<last>\n") {
			t.Errorf("in pieces of %d bytes it makes %d bytes: %.20q ... %q", size, len(got), got, got[max(0, len(got)-20):])
		}
		// What is too long is there, once, however it came.
		if n := strings.Count(got, "y"); n != len(long) {
			t.Errorf("in pieces of %d bytes there are %d of %d bytes of the long line", size, n, len(long))
		}
	}
}
