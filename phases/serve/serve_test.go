package serve

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"choir.chat/rel/phases/serve/nixtest"
)

// store is a real Nix's.
type store struct {
	*nixtest.Store
	t *testing.T
}

func newStore(t *testing.T) store { return store{nixtest.New(t), t} }

// serve sends the requests, and reads the answers behind the greeting.
func (s store) serve(r *Requests) (*Answers, string) {
	s.t.Helper()
	out, said, err := s.Run(r.Bytes(), "nix-store", "--serve", "--write")
	if err != nil {
		said += err.Error()
	}
	a := NewAnswers(bytes.NewReader(out))
	if err := a.Greeting(); err != nil {
		s.t.Fatalf("%v: %s", err, said)
	}
	return a, said
}

func (s store) infos(paths []string) []Info {
	s.t.Helper()
	var r Requests
	r.Greet()
	r.Infos(paths)
	a, said := s.serve(&r)
	list, err := a.Infos()
	if err != nil || len(list) != len(paths) {
		s.t.Fatalf("%d of %d infos: %v: %s", len(list), len(paths), err, said)
	}
	// The server sorts them; references come first in paths.
	slices.SortFunc(list, func(a, b Info) int { return slices.Index(paths, a.Path) - slices.Index(paths, b.Path) })
	return list
}

// archives asks for the paths one behind the other, and cuts the answer in pieces.
func (s store) archives(list []Info) [][]byte {
	s.t.Helper()
	var r Requests
	r.Greet()
	for i := range list {
		r.Dump(list[i].Path)
	}
	out, said, err := s.Run(r.Bytes(), "nix-store", "--serve")
	if err != nil {
		s.t.Fatal(err, said)
	}
	out = out[16:]
	var pieces [][]byte
	for i := range list {
		if int64(len(out)) < list[i].Size {
			s.t.Fatalf("%d bytes are left for %s, which has %d", len(out), list[i].Path, list[i].Size)
		}
		pieces, out = append(pieces, out[:list[i].Size]), out[list[i].Size:]
	}
	if len(out) > 0 {
		s.t.Errorf("%d bytes are left behind the last archive", len(out))
	}
	return pieces
}

// TestCopy takes a chain of paths from one store of a real Nix to another: all that is
// asked of either is asked without waiting.
func TestCopy(t *testing.T) {
	from, to := newStore(t), newStore(t)
	paths := from.Chain(40)
	list := from.infos(paths)
	pieces := from.archives(list)

	var r Requests
	r.Greet()
	r.Valid(paths, true)
	for i := range list {
		list[i].Signatures = []string{"test-1:c2lnbmVk"}
		r.Add(&list[i])
		r.buf.Write(pieces[i])
	}
	r.Valid(paths, false)
	a, said := to.serve(&r)
	before, err := a.Paths()
	if err != nil || len(before) > 0 {
		t.Fatalf("valid before: %v, %v", before, err)
	}
	for range list {
		if err := a.Added(); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
	}
	if after, err := a.Paths(); err != nil || len(after) != len(paths) {
		t.Errorf("valid after: %d of %d, %v", len(after), len(paths), err)
	}
	got := to.infos(paths)
	for i := range got {
		if fmt.Sprint(got[i]) != fmt.Sprint(list[i]) {
			t.Errorf("it was sent as\n%+v\nand is\n%+v", list[i], got[i])
		}
	}
	if out, said, err := to.Run(nil, "nix-store", "--verify", "--check-contents"); err != nil {
		t.Errorf("%v: %s%s", err, out, said)
	}
}

// TestWrongHash: a path that is not what its info says is not taken, and nothing after it.
func TestWrongHash(t *testing.T) {
	from, to := newStore(t), newStore(t)
	list := from.infos(from.Chain(3))
	pieces := from.archives(list)
	spoilt := bytes.Replace(pieces[1], []byte("1 /nix"), []byte("7 /nix"), 1)
	if bytes.Equal(spoilt, pieces[1]) {
		t.Fatal("nothing was spoilt")
	}
	pieces[1] = spoilt
	var r Requests
	r.Greet()
	for i := range list {
		r.Add(&list[i])
		r.buf.Write(pieces[i])
	}
	a, said := to.serve(&r)
	if err := a.Added(); err != nil {
		t.Fatal(err)
	}
	if err := a.Added(); err != ErrEnded || !strings.Contains(said, "hash mismatch") {
		t.Errorf("it answered %v, and said %s", err, said)
	}
}

// TestLies: what is no answer, or too much of one, is an error, and no more.
func TestLies(t *testing.T) {
	number := func(list ...uint64) []byte {
		var r Requests
		for _, n := range list {
			r.number(n)
		}
		return r.Bytes()
	}
	for name, c := range map[string]struct {
		said []byte
		read func(*Answers) error
		want string
	}{
		"another program": {[]byte("Welcome to this host, it is a pleasure"), (*Answers).Greeting, "no nix-store --serve"},
		"an old Nix":      {number(serverMagic, 2<<8|1), (*Answers).Greeting, "speaks version 2.1"},
		"another version": {number(serverMagic, 3<<8), (*Answers).Greeting, "speaks version 3.0"},
		"nothing":         {nil, (*Answers).Greeting, ErrEnded.Error()},
		"a refusal":       {number(0), (*Answers).Added, "answered 0"},
		"a long list":     {number(1 << 40), func(a *Answers) error { _, err := a.Paths(); return err }, "a list of"},
		"a long text":     {number(1, 1<<62), func(a *Answers) error { _, err := a.Paths(); return err }, "a text of"},
		"half a list":     {number(2, 0), func(a *Answers) error { _, err := a.Paths(); return err }, ErrEnded.Error()},
		"no size":         {append(number(1), "x\x00\x00\x00\x00\x00\x00\x00"...), func(a *Answers) error { _, err := a.Infos(); return err }, ErrEnded.Error()},
	} {
		if err := c.read(NewAnswers(bytes.NewReader(c.said))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// FuzzAnswers: whatever a server says, reading it ends.
func FuzzAnswers(f *testing.F) {
	var r Requests
	r.number(serverMagic)
	r.number(version)
	r.list([]string{"/nix/store/x", ""})
	f.Add(r.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		a := NewAnswers(bytes.NewReader(b))
		_ = a.Greeting()
		for range 8 {
			list, err := a.Infos()
			for _, i := range list {
				if i.Size <= 0 || len(i.Hash) != 64 {
					t.Fatalf("%+v", i)
				}
			}
			if err != nil {
				break
			}
			_, _ = a.Paths()
		}
	})
}
