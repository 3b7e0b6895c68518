package phases

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"choir.chat/rel/phases/serve"
	"choir.chat/rel/phases/serve/nixtest"
)

// shop is a build host and a target with stores of real Nix, and what goes from one to the
// other.
type shop struct {
	*courier
	t        *testing.T
	from, to *nixtest.Store
	noted    string
	// tmp is the build host's folder for what passes.
	tmp string
}

func newShop(t *testing.T) *shop {
	s := &shop{t: t, from: nixtest.New(t), to: nixtest.New(t), tmp: t.TempDir()}
	state := t.TempDir()
	if err := os.MkdirAll(filepath.Join(state, "app", "releases", "1"), 0o700); err != nil {
		t.Fatal(err)
	}
	target := &local{name: "prod", env: s.to.Env, state: state}
	p := &Promotion{ID: "1", Plan: Plan{App: "app", Via: Relayed}, Build: &local{name: "grind", env: append(s.from.Env, "TMPDIR="+s.tmp)},
		Targets: []Host{target}, Line: func(host, line string) { t.Log(host+":", line) }, Note: func(_, text string) { s.noted += text + "\n" }}
	s.courier = &courier{p: p, target: target, relayed: true}
	return s
}

// load has the courier take the closure: all but what is named.
func (s *shop) load(closure []string, bases map[string]string, but ...string) {
	s.t.Helper()
	release := &Release{Closure: closure, Outputs: []Output{{Path: closure[len(closure)-1]}}}
	s.p.Facts.Build = release
	infos, err := s.p.infos(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	ready := readiness{accept: "zstd gzip", bases: bases, room: 1 << 40}
	for i, path := range closure {
		if !strings.Contains(strings.Join(but, " ")+" ", path+" ") {
			ready.missing = append(ready.missing, i)
		}
	}
	s.cargo = newCargo(s.p, infos, ready)
}

// arrives takes it there, and returns how many bytes that were.
func (s *shop) arrives() int64 {
	s.t.Helper()
	got, sent, err := s.carry(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	if got.added != len(s.infos) || len(got.lacks) > 0 {
		s.t.Fatalf("%d of %d paths were taken, and it lacks %v", got.added, len(s.infos), got.lacks)
	}
	s.to.Must("nix-store", "--verify", "--check-contents")
	s.to.Must(append([]string{"nix-store", "--check-validity"}, s.closure...)...)
	return sent
}

// large adds a file of some megabytes to both stores, or to the one, and returns its path.
func (s *shop) large(stores []*nixtest.Store, content []byte) (path string) {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "web")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		s.t.Fatal(err)
	}
	for _, store := range stores {
		path = store.Must("nix-store", "--add", file)[0]
	}
	return path
}

// noise does not compress.
func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

// TestRelay: a chain of paths arrives with all that Nix knows of it, however it is packed.
func TestRelay(t *testing.T) {
	for _, accept := range []string{"zstd gzip", "gzip", ""} {
		t.Run("packed with "+accept, func(t *testing.T) {
			s := newShop(t)
			chain := s.from.Chain(30)
			s.load(chain, nil)
			s.accept = accept
			s.arrives()
			// What is there need not come again.
			more := s.from.Chain(33)
			s.load(more, nil, chain...)
			s.arrives()
			if len(s.infos) != 3 {
				t.Errorf("%d paths were sent", len(s.infos))
			}
		})
	}
}

// TestPatch: a large path goes as a patch to one that resembles it, wherever it comes
// among the others.
func TestPatch(t *testing.T) {
	s := newShop(t)
	content := noise(6 << 20)
	both := []*nixtest.Store{s.from, s.to}
	base := s.large(both, content)
	content[3<<20]++
	changed := s.large(both[:1], content)
	closure := s.from.Closure(`let small = builtins.toFile "small" "x"; web = builtins.storePath "` + changed + `";
		in builtins.toFile "top" "${small} ${web} ${builtins.toFile "middle" "${web}"}"`)
	s.load(closure, map[string]string{changed: base})
	if sent := s.arrives(); sent > 200<<10 {
		t.Errorf("%d bytes were sent of %d", sent, s.bytes())
	}
}

// TestPatches: several go as patches at once, and one whose base is gone as it is.
func TestPatches(t *testing.T) {
	s := newShop(t)
	content := noise(5 << 20)
	both := []*nixtest.Store{s.from, s.to}
	bases, top := map[string]string{}, ""
	for i := range 5 {
		content[i<<20]++
		base := s.large(both, content)
		content[i<<20+1]++
		changed := s.large(both[:1], content)
		bases[changed] = base
		top += "${builtins.storePath \"" + changed + "\"} "
		if i == 2 {
			s.from.Must("nix-store", "--delete", base)
		}
	}
	s.load(s.from.Closure(`builtins.toFile "top" "`+top+`"`), bases)
	if sent := s.arrives(); sent < 5<<20 || sent > 6<<20 {
		t.Errorf("%d bytes were sent: one path of %d is to go whole", sent, s.bytes()/5)
	}
}

// TestPatchFails: where the base is not what it is taken for, the path goes as it is.
func TestPatchFails(t *testing.T) {
	for name, spoil := range map[string]func(s *shop, base string){
		"spoilt on the target": func(s *shop, base string) {
			s.spoil(s.to, base)
		},
		"gone from the build host": func(s *shop, base string) { s.from.Must("nix-store", "--delete", base) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			content := noise(5 << 20)
			both := []*nixtest.Store{s.from, s.to}
			base := s.large(both, content)
			content[3<<20]++
			changed := s.large(both[:1], content)
			spoil(s, base)
			s.load([]string{changed}, map[string]string{changed: base})
			got, sent, err := s.carry(t.Context())
			if err != nil || got.added != 1 || len(got.lacks) > 0 {
				t.Fatalf("%+v, %v", got, err)
			}
			if sent < 5<<20 {
				t.Errorf("it went as %d bytes", sent)
			}
			s.to.Must("nix-store", "--verify-path", changed)
			if left, _ := filepath.Glob(filepath.Join(s.target.(*local).state, "app/releases/1/patches*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// spoil changes a byte of a path behind Nix's back.
func (s *shop) spoil(store *nixtest.Store, path string) {
	s.t.Helper()
	file := filepath.Join(store.Dir, path)
	content, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	content[len(content)/2] ^= 0xff
	for _, err := range []error{os.Chmod(file, 0o600), os.WriteFile(file, content, 0o600), os.Chmod(file, 0o444)} { //nolint:gosec // as Nix has it
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

// TestSpoilt: a path that is not what the build host recorded is not taken, and fails the
// copy; what came before it stays.
func TestSpoilt(t *testing.T) {
	s := newShop(t)
	chain := s.from.Chain(5)
	s.load(chain, nil)
	s.spoil(s.from, chain[2])
	got, _, err := s.carry(t.Context())
	if err == nil || !strings.Contains(err.Error(), "hash mismatch") || got.count() != 2 {
		t.Errorf("%d paths were taken, and it came to: %v", got.count(), err)
	}
	s.to.Must("nix-store", "--check-validity", chain[1])
	if _, _, err := s.to.Run(nil, "nix-store", "--check-validity", chain[3]); err == nil {
		t.Error("what refers to it was taken")
	}
}

// TestStreamCut: wherever the stream ends, what has arrived is whole, and the rest can
// follow.
func TestStreamCut(t *testing.T) {
	s := newShop(t)
	content := noise(5 << 20)
	both := []*nixtest.Store{s.from, s.to}
	base := s.large(both, content)
	content[3<<20]++
	changed := s.large(both[:1], content)
	closure := s.from.Closure(`builtins.toFile "top" "${builtins.storePath "` + changed + `"} ${builtins.toFile "other" "y"}"`)
	s.load(closure, map[string]string{changed: base})
	var stream bytes.Buffer
	send := s.sending("send.sh", sendScript, nil)
	send.Stdin, send.Stdout = s.rows(), &stream
	if _, err := s.p.Build.Run(t.Context(), send); err != nil {
		t.Fatal(err)
	}
	for n := 0; n < stream.Len(); n += 1 + stream.Len()/16 {
		if got, err := s.unpack(context.Background(), bytes.NewReader(stream.Bytes()[:n])); err == nil && len(got.lacks) == 0 {
			t.Fatalf("%d of %d bytes were enough", n, stream.Len())
		}
		s.to.Must("nix-store", "--verify", "--check-contents")
	}
	s.arrives()
}

// TestRowsCut: what is to be sent arrived in part, and nothing is.
func TestRowsCut(t *testing.T) {
	s := newShop(t)
	s.load(s.from.Chain(3), nil)
	part := "root\t" + s.closure[0] + "\n"
	for _, script := range []struct{ name, code string }{{"send.sh", sendScript}, {"bundle.sh", bundleScript}} {
		cut := s.sending(script.name, script.code, nil)
		var out bytes.Buffer
		cut.Stdin, cut.Stdout = strings.NewReader(part), &out
		if _, err := s.p.Build.Run(t.Context(), cut); err == nil || !strings.Contains(err.Error(), "broke off") || out.Len() > 0 {
			t.Errorf("%s: %v, and wrote %d bytes", script.name, err, out.Len())
		}
	}
	push := s.pushing("exec cat")
	var out bytes.Buffer
	said := ""
	push.Stdin, push.Stdout, push.Line = strings.NewReader(part), &out, func(line string) { said += line + "\n" }
	if _, err := s.p.Build.Run(t.Context(), push); err != nil || out.Len() > 0 || !strings.Contains(said, "broke off") || !strings.Contains(said, "m sent=1\n") {
		t.Errorf("push.sh: %v, wrote %d bytes, and said %s", err, out.Len(), said)
	}
}

// pushing is push.sh with this in the place of ssh.
func (s *shop) pushing(ssh string) Script {
	s.t.Helper()
	dir := s.t.TempDir()
	agent, err := net.Listen("unix", filepath.Join(dir, "agent"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { agent.Close() })
	if err := os.WriteFile(filepath.Join(dir, "ssh"), []byte("#!/bin/sh\n"+ssh+"\n"), 0o700); err != nil {
		s.t.Fatal(err)
	}
	return s.sending("push.sh", loginPart+pushScript, map[string]string{"KEY": "k", "HOSTKEY": "h", "MARK": "m", "ADDRESS": "a", "PORT": "22", "LOGIN": "root",
		"SSH_AUTH_SOCK": agent.Addr().String(), "PATH": dir + ":" + os.Getenv("PATH"), "TMPDIR": s.tmp})
}

// TestLoginUnwanted: a login that waits for its key ends with the session that it is for, of
// which nobody reads any more by then; sshd keeps a session until all in it has ended.
func TestLoginUnwanted(t *testing.T) {
	s := newShop(t)
	s.load(s.from.Chain(1), nil)
	push := s.pushing("exec sleep 60")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", push.Code)
	for key, value := range push.Env {
		cmd.Env = append(cmd.Env, key+"="+value)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = write, write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	time.Sleep(200 * time.Millisecond) // it logs in
	read.Close()
	in.Close()
	_ = cmd.Wait()
	if ctx.Err() != nil {
		t.Error("it does not end")
	}
}

// TestBundle: the stream is the same when it was woven before.
func TestBundle(t *testing.T) {
	s := newShop(t)
	s.load([]string{s.large([]*nixtest.Store{s.from}, noise(1<<20))}, nil)
	remove, err := bundle(t.Context(), s.p, []*courier{s.courier}, "yes")
	if err != nil {
		t.Fatal(err)
	}
	file := s.bundle
	s.arrives()
	remove()
	if _, err := os.Stat(filepath.Dir(file)); !os.IsNotExist(err) {
		t.Errorf("the bundle is still there: %v", err)
	}
}

// TestOnlyPaths: whoever has the lent key can bring paths, and not have the target build
// what runs there.
func TestOnlyPaths(t *testing.T) {
	s := newShop(t)
	made := s.to.Must("nix-instantiate", "-E", `derivation { name = "x"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo > $out" ]; }`)
	var r serve.Requests
	r.Greet()
	number := func(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }
	stream := slices.Concat([]byte("none\n---\n"), r.Bytes(), number(6), number(1), number(uint64(len(made[0]))), []byte(made[0]),
		make([]byte, (8-len(made[0])%8)%8), make([]byte, 5*8)) // BuildPaths, and how it is to be done
	// An input that has ended would be taken for an operator who has gone.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	input, open := io.Pipe()
	said, to := io.Pipe()
	unpack := s.p.onTarget(s.target, "unpack.sh", unpackScript, map[string]string{"MOST": "1", "ALL": "1"})
	unpack.Stdin, unpack.Stdout = io.MultiReader(bytes.NewReader(stream), input), to
	go func() {
		_, err := s.target.Run(ctx, unpack)
		to.CloseWithError(err)
	}()
	defer open.Close()
	answer := make([]byte, 16+8+8+60)
	if n, err := io.ReadFull(said, answer); err != nil || !strings.Contains(string(answer), "unable to start any build") {
		t.Errorf("it answered %q: %v", answer[:n], err)
	}
}

// TestInline: what is short is there with the answer, and nothing is left behind.
func TestInline(t *testing.T) {
	s := newShop(t)
	s.load(s.from.Chain(5), nil)
	if _, err := bundle(t.Context(), s.p, []*courier{s.courier}, "yes"); err != nil {
		t.Fatal(err)
	}
	if s.bundle != "" || len(s.data) == 0 {
		t.Fatalf("it is in %q, and %d bytes are here", s.bundle, len(s.data))
	}
	if s.arrives() != int64(len(s.data)) {
		t.Error("something else was sent")
	}
	if left, _ := filepath.Glob(filepath.Join(s.tmp, ".rel-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestFenced: what somebody else has taken over since takes no store path any more, and says
// who has it.
func TestFenced(t *testing.T) {
	s := newShop(t)
	state := filepath.Join(s.target.(*local).state, "app")
	if err := errors.Join(os.WriteFile(filepath.Join(state, "epoch"), []byte("7 2\n"), 0o600),
		os.Symlink("7|2|copy|x|1|2026-11-23T04:00:00Z||bea", filepath.Join(state, "hold"))); err != nil {
		t.Fatal(err)
	}
	s.load(s.from.Chain(3), nil)
	_, _, err := s.carry(t.Context())
	var lost *HoldLostError
	if !errors.As(err, &lost) || lost.Holder == nil || lost.Holder.Operator != "bea" {
		t.Errorf("it came to: %v", err)
	}
	if _, _, err := s.to.Run(nil, "nix-store", "--check-validity", s.closure[0]); err == nil {
		t.Error("a path was taken")
	}
	if left, _ := filepath.Glob(filepath.Join(state, "unpacking*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestFenceOpens: as long as store paths arrive, nobody has to wait who takes the target over.
func TestFenceOpens(t *testing.T) {
	s := newShop(t)
	var r serve.Requests
	r.Greet()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	input, open := io.Pipe()
	said, to := io.Pipe()
	unpack := s.p.onTarget(s.target, "unpack.sh", unpackScript, map[string]string{"MOST": "1", "ALL": "1"})
	unpack.Stdin, unpack.Stdout = io.MultiReader(strings.NewReader("none\n---\n"), bytes.NewReader(r.Bytes()), input), to
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, err := s.target.Run(ctx, unpack)
		to.CloseWithError(err)
	}()
	if _, err := io.ReadFull(said, make([]byte, 16)); err != nil { // its greeting
		t.Fatal(err)
	}
	lock := filepath.Join(s.target.(*local).state, "app", "epoch.lock")
	if out, err := exec.Command("flock", "-n", lock, "true").CombinedOutput(); err != nil {
		t.Errorf("epoch.lock is held while store paths arrive: %v %s", err, out)
	}
	open.Close()
	<-ended
}
