package phases

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"choir.chat/rel/phases/serve"
)

// loom is a build host whose nix-store gives archives of any bytes.
type loom struct {
	t        *testing.T
	dir      string
	archives [][]byte
	requests [][]byte
	random   *rand.Rand
}

func newLoom(t *testing.T) *loom {
	l := &loom{t: t, dir: t.TempDir(), random: rand.New(rand.NewPCG(1, 2))}
	store := "#!/bin/sh\ncase $1 in --query) echo /nix/store/x ;; --serve) cat >" + l.dir + "/asked && cat " + l.dir + "/archives ;; esac\n"
	l.write("nix-store", []byte(store))
	return l
}

func (l *loom) write(name string, content []byte) {
	l.t.Helper()
	if err := os.WriteFile(filepath.Join(l.dir, name), content, 0o700); err != nil { //nolint:gosec // one is run
		l.t.Fatal(err)
	}
}

func (l *loom) noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(l.random.Uint32())
	}
	return b
}

// add has it give one more archive, of so many bytes.
func (l *loom) add(size int) {
	l.archives = append(l.archives, l.noise(size))
	l.requests = append(l.requests, l.noise(1+l.random.IntN(300)))
}

// woven is what it makes of them, where path is the PATH.
func (l *loom) woven(path string) []byte {
	l.t.Helper()
	l.write("archives", append(make([]byte, 16), slices.Concat(l.archives...)...))
	rows := "accept\t\nbundle\t\nroot\tx\n"
	for i := range l.archives {
		rows += strings.Join([]string{"path", fmt.Sprint("/nix/store/", i), strconv.Itoa(len(l.archives[i])),
			strconv.Itoa(len(l.requests[i])), octal(l.requests[i]), ""}, "\t") + "\n"
	}
	var out bytes.Buffer
	host := &local{name: "grind", env: []string{"PATH=" + l.dir + ":" + path, "TMPDIR=" + l.t.TempDir()}}
	_, err := host.Run(l.t.Context(), Script{Name: "send.sh", Code: infosPart + weavePart + sendScript, Env: map[string]string{"MOST": "0"},
		Stdin: packRows(rows), Stdout: &out})
	if err != nil {
		l.t.Fatal(err)
	}
	return out.Bytes()
}

// expected is what it is to make of them.
func (l *loom) expected() []byte {
	var head, tail serve.Requests
	head.Greet()
	head.Valid([]string{"/nix/store/x"}, true)
	tail.Valid([]string{"/nix/store/x"}, false)
	all := [][]byte{[]byte("none\n---\n"), head.Bytes()}
	for i := range l.archives {
		all = append(all, l.requests[i], l.archives[i])
	}
	return slices.Concat(append(all, tail.Bytes())...)
}

// TestWeave: each archive comes behind its request, however many there are and of whatever
// size.
func TestWeave(t *testing.T) {
	for name, test := range map[string]struct {
		n    int
		size func(i int) int
	}{
		"small":         {1100, func(i int) int { return 8 * (i % 40) }},
		"of odd sizes":  {200, func(i int) int { return i }},
		"of whole rows": {50, func(i int) int { return 512 * (i % 4) }},
		"large":         {5, func(int) int { return 70000 }},
		"mixed":         {60, func(i int) int { return []int{120, 0, 65535, 65536, 200000}[i*i%19%5] }},
		"few between":   {40, func(i int) int { return 100 + i%4/3*70000 }},
		"one":           {1, func(int) int { return 100 }},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLoom(t)
			for i := range test.n {
				l.add(test.size(i))
			}
			if got := l.woven(os.Getenv("PATH")); !bytes.Equal(got, l.expected()) {
				t.Errorf("%d bytes were woven, and not the %d that were to be", len(got), len(l.expected()))
			}
		})
	}
}

// TestWeaveBare: it takes no tool that an old build host may not have.
func TestWeaveBare(t *testing.T) {
	bare := t.TempDir()
	for _, tool := range strings.Fields("awk base64 cat cut grep gzip head mktemp rm sed sh tail tr wc xargs") {
		path, err := exec.LookPath(tool)
		if err == nil {
			err = os.Symlink(path, filepath.Join(bare, tool))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	l := newLoom(t)
	for i := range 30 {
		l.add(i * i)
	}
	if !bytes.Equal(l.woven(bare), l.expected()) {
		t.Error("something else was woven")
	}
}
