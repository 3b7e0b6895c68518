package remote

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestRun(t *testing.T) {
	_, d := newServer(t)
	h := dial(t, d)
	nasty := `$(touch /x) "; '\ *` + "\t" + `§`
	var lines []string
	out, err := h.Run(t.Context(), Script{
		Name: "test.sh",
		Code: "printf '%s\\n' \"$NASTY\"; echo \"$EMPTY.\"; cat; echo one >&2; printf 'two\\033[31m\\rthree' >&2",
		Env:  map[string]string{"NASTY": nasty, "EMPTY": ""}, Stdin: strings.NewReader("input\n"),
		Line: func(line string) { lines = append(lines, line) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := nasty + "\n.\ninput\n"; string(out) != want {
		t.Errorf("it printed %q, want %q", out, want)
	}
	if got := strings.Join(lines, "|"); got != "one|two|three" {
		t.Errorf("it complained %q", got)
	}
}

func TestRunFails(t *testing.T) {
	_, d := newServer(t)
	h := dial(t, d)
	_, err := h.Run(t.Context(), Script{Name: "bad.sh", Code: "for i in $(seq 50); do echo line $i >&2; done; exit 7"})
	var exit *ExitError
	if !errors.As(err, &exit) || exit.Status != 7 || len(exit.Tail) != 30 || exit.Tail[29] != "line 50" {
		t.Errorf("got %v with %d lines", err, len(exit.Tail))
	}
	contains(t, err.Error(), "box", "bad.sh", "7", "line 50")

	// A script that fails at once leaves its input unread, and must not hang.
	reader, _ := io.Pipe()
	_, err = h.Run(t.Context(), Script{Name: "early.sh", Code: "exit 3", Stdin: reader, Stdout: io.Discard})
	if !errors.As(err, &exit) || exit.Status != 3 {
		t.Errorf("got %v", err)
	}

	// Input that breaks off must not look like input that ends.
	broken, w := io.Pipe()
	go func() {
		_, _ = w.Write([]byte("half"))
		w.CloseWithError(errors.New("cut"))
	}()
	if out, err := h.Run(t.Context(), Script{Name: "cat.sh", Code: "cat; echo whole", Stdin: broken}); err == nil {
		t.Errorf("it took broken input for whole: %q", out)
	}

	if _, err := h.Run(t.Context(), Script{Name: "s", Env: map[string]string{"A": "b\nc"}}); err == nil {
		t.Error("a value with a newline was let through")
	}
}

func TestRunRaw(t *testing.T) {
	_, d := newServer(t)
	h := dial(t, d)
	data := bytes.Repeat([]byte{0, '\n', 0x1b, 0xff}, 1<<20)
	var out bytes.Buffer
	if _, err := h.Run(t.Context(), Script{Name: "cat", Code: "cat", Stdin: bytes.NewReader(data), Stdout: &out}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), data) {
		t.Errorf("%d bytes came back changed as %d", len(data), out.Len())
	}
	if _, err := h.Run(t.Context(), Script{Name: "flood", Code: "head -c 18000000 /dev/zero"}); err == nil {
		t.Error("an answer of 18 MB was taken")
	}
}

func TestRunEnds(t *testing.T) {
	s, d := newServer(t)
	h := dial(t, d)
	ctx, cancel := context.WithCancelCause(t.Context())
	started := make(chan struct{})
	go func() {
		<-started
		cancel(errors.New("enough"))
	}()
	_, err := h.Run(ctx, Script{Name: "sleep.sh", Code: "echo started >&2; exec sleep 60", Line: func(string) { close(started) }})
	if err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("a cancelled script ended with %v", err)
	}
	// The connection is still good for others.
	if _, err := h.Run(t.Context(), Script{Name: "s", Code: "true"}); err != nil {
		t.Error(err)
	}
	_, err = h.Run(t.Context(), Script{Name: "sleep.sh", Code: "echo x >&2; exec sleep 60", Line: func(string) { s.cut() }})
	var lost *LostError
	if !errors.As(err, &lost) || !lost.Lost() {
		t.Errorf("a cut connection ended the script with %v", err)
	}
}

// A host that does not open sessions any more must not hold the run for ever.
func TestSessionStalls(t *testing.T) {
	_, d := newServer(t, func(s *server) { s.stall = "session" })
	h := dial(t, d)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := h.Run(ctx, Script{Name: "s", Code: "true"}); err == nil {
		t.Error("a script ran without a session")
	}
}

// What waits for an answer that the SSH client lost with the connection, as it may,
// waits no longer than there is a connection.
func TestNothingOutlivesTheConnection(t *testing.T) {
	s, d := newServer(t)
	h := dial(t, d)
	s.cut()
	never := make(chan struct{})
	defer close(never)
	began := time.Now()
	err := h.bounded(t.Context(), "opening a session", func() error {
		<-never
		return nil
	})
	if err == nil || time.Since(began) > sessionTimeout/2 {
		t.Errorf("it waited %s and got %v", time.Since(began), err)
	}
}

// More scripts than sshd allows sessions wait for their turn.
func TestSessionsAreBounded(t *testing.T) {
	s, d := newServer(t)
	h := dial(t, d)
	done := make(chan error)
	for range 3 * sessions {
		go func() {
			_, err := h.Run(t.Context(), Script{Name: "s", Code: "sleep 0.05"})
			done <- err
		}()
	}
	for range 3 * sessions {
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := s.open.Load(); n > sessions {
			t.Errorf("%d sessions at once", n)
		}
	}
}

// A connection that is cut in the middle of a script ends the shell's input there.
// The lines that have arrived are not run.
func TestScriptArrivesInPart(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "mark")
	for name, how := range map[string]struct{ standing, packs, parts bool }{
		"alone": {}, "standing": {standing: true}, "alone, packed": {packs: true}, "standing, packed": {standing: true, packs: true},
		"standing, in parts": {standing: true, packs: true, parts: true},
	} {
		s := Script{Name: "x", Code: "# Mark.\n>\"$MARK\"\ntrue\n\n", Env: map[string]string{"MARK": mark}}
		if how.parts {
			part := "# Marks: " + strings.Repeat("a long story\n# ", worthPacking) + "\n>\"$MARK\"\n"
			s.Code, s.Parts = part+">\"$MARK\"\n"+s.Code, []string{part, ">\"$MARK\"\n"}
		} else if how.packs {
			s.Code += "# " + strings.Repeat("a long story\n# ", worthPacking) + "\n"
		}
		talk, err := new(Host).newTalk(&s, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		talk.standing = how.standing
		header, _ := talk.head(how.packs, map[string]string{})
		run := func(input string) string {
			_ = os.Remove(mark)
			cmd := exec.Command("/bin/sh", "-c", bootstrap)
			cmd.Stdin = strings.NewReader(runner + input)
			out, _ := cmd.CombinedOutput()
			return string(out)
		}
		for n := strings.Index(header, "MARK="); n < len(header); n++ {
			said := run(header[:n])
			// The last bytes of what is packed only say that it was all.
			trailer := 0
			if how.packs {
				trailer = 16
			}
			if _, err := os.Stat(mark); err == nil && n < len(header)-trailer {
				t.Fatalf("%s: %d of %d bytes were run", name, n, len(header))
			}
			if n > len(header)-min(len(s.Code), 20) && n < len(header)-trailer && !strings.Contains(said, "the script broke off") {
				t.Errorf("%s: %d of %d bytes: it said %q", name, n, len(header), said)
			}
		}
		want := readyWord + strconv.Itoa(os.Getuid()+1<<32) + "\n" + talk.nonce + "\n" + talk.nonce + "\n"
		if talk.standing {
			want += talk.nonce + " 0\n" + talk.nonce + " 0\n"
		}
		if said := run(header); said != want {
			t.Errorf("%s: the whole said %q, want %q", name, said, want)
		}
		if _, err := os.Stat(mark); err != nil {
			t.Errorf("%s: the whole was not run", name)
		}
	}
}

// A script whose end nobody can tell did not succeed, and what it left unread is no
// script.
func TestStatusIsLost(t *testing.T) {
	for name, input := range map[string]string{
		"its shell is killed":   "rel-x 0\n\n%d\n%s",
		"code that is no gzip":  "rel-x 30\n\n100 20\nxxxxxxxxxxxxxxxxxxxxhello - world\nFOO=bar\n\n9\necho PWND\n",
		"input that is no gzip": "rel-x 100 20\n\n4\ntruexxxxxxxxxxxxxxxxxxxxhello - world\nFOO=bar\n\n9\necho PWND\n",
	} {
		cmd := exec.Command("/bin/sh", "-c", bootstrap)
		cmd.Stdin = strings.NewReader(runner + input)
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 255 || strings.Contains(string(out), "PWND") || strings.Contains(string(out), "rel-x 0") {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}
