package remote

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// payloads are what a terminal would act on, or would hide or reorder.
var payloads = map[string]string{
	"colour": "\x1b[31mred\x1b[0m", "clear": "\x1b[2J\x1b[H", "title": "\x1b]0;pwned\x07", "link": "\x1b]8;;http://x\x1b\\y\x1b]8;;\x1b\\",
	"clipboard": "\x1b]52;c;cm0gLXJm\x07", "device control": "\x1bP+q544e\x1b\\", "application": "\x1b_cmd\x1b\\", "query": "\x1b[c\x1b[6n\x1b[>0q",
	"alternative screen": "\x1b[?1049h", "8-bit CSI": "\x9b31m", "8-bit OSC": "\u009d0;x\u009c", "return": "rel: ok\rrel: no",
	"backspace": "abc\b\b\bxyz", "bell and nul": "a\x07b\x00c", "bidi": "\u202egnp.\u2066exe\u2069", "zero width": "a\u200bb\ufeffc\u00ad",
	"not UTF-8": "\xff\xfe\xc3(", "overlong": "\xc0\x9b31m\xe0\x80\x9b", "unended": "\x1b]0;and on it goes", "shift and reset": "\x0e\x1bc\x7f",
}

// plays is a host whose shell says it is ready, repeats the nonce, and then plays. exits
// ends the script, and the shell where the script has it to itself.
func plays(t *testing.T, fn func(stage)) *Host {
	_, d := newServer(t, func(s *server) {
		s.play = func(channel ssh.Channel, _ string) {
			_, _ = io.WriteString(channel, readyWord+"0\n")
			in := bufio.NewReader(channel)
			if _, err := in.ReadString('\n'); err != nil { // the runner
				return
			}
			head, err := in.ReadString('\n')
			if err != nil {
				return
			}
			nonce, size, _ := strings.Cut(strings.TrimSpace(head), " ")
			go func() { _, _ = io.Copy(io.Discard, in) }()
			_, _ = io.WriteString(channel, nonce+"\n")
			_, _ = io.WriteString(channel.Stderr(), nonce+"\n")
			fn(stage{channel, nonce, size == "-"})
		}
	})
	// The processor does this one; what is done in Go is what the race detector looks at.
	prepend(t, d, "Ciphers aes128-gcm@openssh.com")
	return dial(t, d)
}

// stage is what a played script has.
type stage struct {
	ssh.Channel
	nonce string
	alone bool
}

// exits ends the script with a status: as a session, and before that as the runner does.
func (s stage) exits(status uint32) {
	if !s.alone && status < 256 {
		for _, to := range []io.Writer{s, s.Stderr()} {
			_, _ = fmt.Fprintf(to, "%s %d\n", s.nonce, status)
		}
	}
	exits(s, status)
}

func exits(channel ssh.Channel, status uint32) {
	_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
}

// No way leads from a host to the operator's terminal but through Clean.
func TestHostIsHostile(t *testing.T) {
	for name, payload := range payloads {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var said []string
			var raw bytes.Buffer
			h := plays(t, func(c stage) {
				_, _ = io.WriteString(c, "answer="+payload+"\n")
				_, _ = io.WriteString(c.Stderr(), "line "+payload+"\n")
				c.exits(1)
			})
			script := Script{Name: "s", Line: func(line string) { said = append(said, line) }, Raw: &raw}
			_, err := h.Run(t.Context(), script)
			var exit *ExitError
			if !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if raw.String() != "line "+payload+"\n" {
				t.Errorf("%q was kept as %q", payload, raw.String())
			}
			said = append(append(said, exit.Tail...), exit.Error())

			h = plays(t, func(c stage) {
				_, _ = io.WriteString(c, "answer="+payload+"\n")
				c.exits(0)
			})
			out, err := h.Run(t.Context(), script)
			if err != nil {
				t.Fatal(err)
			}
			said = append(said, string(out))
			// scp's own words, and those before the script.
			h = plays(t, func(c stage) {
				_, _ = io.WriteString(c, "\x01scp: "+payload+"\n")
				_, _ = io.WriteString(c.Stderr(), payload)
				c.exits(1)
			})
			said = append(said, h.Upload(t.Context(), "/tmp/x", []byte("x"), 0o600).Error())
			_, d := newServer(t, func(s *server) {
				s.play = func(c ssh.Channel, _ string) {
					_, _ = io.WriteString(c, payload)
					_, _ = io.WriteString(c.Stderr(), payload)
					exits(c, 1)
				}
			})
			_, err = dial(t, d).Run(t.Context(), script)
			said = append(said, err.Error())
			for _, err := range []error{&LostError{Host: "h", Err: errors.New(payload)}, &DialError{Host: "h", Address: "a", Err: errors.New(payload)}} {
				said = append(said, err.Error())
			}
			for _, text := range said {
				if strings.ContainsFunc(text, isUnsafe) {
					t.Errorf("it says %q", text)
				}
			}
		})
	}
}

// Nor can what others say stand in an error as a line of rel's own.
func TestErrorsAreOneLine(t *testing.T) {
	const words = "no\nrel: done"
	k := &keyring{dialer: &Dialer{}, settings: &settings{}, wanted: []string{words}}
	k.skip("key", errors.New(words))
	refusal := k.refusal(errors.New("unable to authenticate"))
	said := []string{refusal.Error(), fmt.Sprint(refusal.(*AuthError).Skipped)}
	for name, option := range map[string]string{
		"an agent":            "IdentityAgent " + newToken(t).serve(t),
		"ssh":                 "Nonsense\nNonsense",
		"a KnownHostsCommand": `KnownHostsCommand /bin/sh -c "exec >&2; echo no; echo rel: done; exit 1"`,
	} {
		_, d := newServer(t, func(s *server) { s.allowed = makeSigner(t).PublicKey() })
		prepend(t, d, option)
		_, err := d.Dial(t.Context(), "box")
		if err == nil {
			t.Fatalf("%s: the host let us in", name)
		}
		said = append(said, err.Error())
	}
	for _, text := range said {
		if strings.Contains(text, "\n") {
			t.Errorf("it says %q", text)
		}
	}
}

// What a host says of how a script ended is only what it says.
func TestExitsLie(t *testing.T) {
	cases := map[string]struct {
		end  func(stage)
		want string
	}{
		"signal": {func(c stage) {
			_, _ = c.SendRequest("exit-signal", false, ssh.Marshal(struct {
				Signal string
				Core   bool
				Text   string
				Lang   string
			}{"KILL\x1b[2J", true, "\x1b[31m", ""}))
		}, "failed with status"},
		"nothing":     {func(stage) {}, "it ended while"},
		"huge":        {func(c stage) { c.exits(1<<32 - 1) }, "failed with status 4294967295"},
		"not a word":  {func(c stage) { _, _ = c.SendRequest("exit-status", false, []byte{1}) }, "box: "},
		"half closed": {func(c stage) { _ = c.CloseWrite(); time.Sleep(3 * time.Second) }, "enough"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeoutCause(t.Context(), 2*time.Second, errors.New("enough"))
			defer cancel()
			_, err := plays(t, c.end).Run(ctx, Script{Name: "s"})
			if err == nil {
				t.Fatal("it is believed to have succeeded")
			}
			contains(t, err.Error(), c.want)
			if strings.ContainsFunc(err.Error(), isUnsafe) {
				t.Errorf("it says %q", err)
			}
		})
	}
}

// A line of 100 MB, and lines without end, cost no memory.
func TestHostFloods(t *testing.T) {
	const size = 100 << 20
	block := bytes.Repeat([]byte("\x1b[31mx"), 10<<10)
	flood := func(to io.Writer, size int) {
		for n := 0; n < size; n += len(block) {
			if _, err := to.Write(block); err != nil {
				return
			}
		}
	}
	cases := map[string]func(stage){
		"a line":     func(c stage) { flood(c.Stderr(), size); c.exits(1) },
		"lines":      func(c stage) { flood(newlines{c.Stderr()}, size/20); c.exits(1) },
		"an answer":  func(c stage) { flood(c, size); c.exits(0) },
		"scp":        func(c stage) { _, _ = c.Write([]byte{1}); flood(c, size/5); c.exits(1) },
		"scp's line": func(c stage) { flood(c.Stderr(), size/5); c.exits(1) },
	}
	for name, fn := range cases {
		t.Run(name, func(t *testing.T) {
			h := plays(t, fn)
			peak, stop := watchHeap()
			var err error
			if strings.HasPrefix(name, "scp") {
				err = h.Upload(t.Context(), "/tmp/x", []byte("x"), 0o600)
			} else {
				_, err = h.Run(t.Context(), Script{Name: "s"})
			}
			stop()
			var exit *ExitError
			if err == nil || len(err.Error()) > 3*LineCap+1000 || errors.As(err, &exit) && len(exit.Tail) > tailLines {
				t.Errorf("got %.200v", err)
			}
			if *peak > 64<<20 {
				t.Errorf("the heap grew to %d MiB", *peak>>20)
			}
			t.Logf("the heap grew to %d MiB", *peak>>20)
		})
	}
}

type newlines struct{ io.Writer }

func (w newlines) Write(b []byte) (int, error) {
	return w.Writer.Write(bytes.ReplaceAll(b, []byte("x"), []byte("\n")))
}

// watchHeap notes the largest heap until it is stopped.
func watchHeap() (peak *uint64, stop func()) {
	peak = new(uint64)
	done, ended := make(chan struct{}), make(chan struct{})
	runtime.GC()
	go func() {
		defer close(ended)
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			*peak = max(*peak, m.HeapAlloc)
			select {
			case <-done:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	return peak, func() { close(done); <-ended }
}
