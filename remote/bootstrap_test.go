package remote

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// profiles are what login shells are made to run before anything else, each by the
// file that it reads when sshd runs a command in it. (bash reads .bashrc if it finds
// that its input is a socket: here it is told to.)
var profiles = []struct{ shell, file, text string }{
	{"bash", ".bashrc", `echo 'Welcome!'; printf 'no newline'; printf '\033[31mloud\n' >&2; read -r -t 0.2 line; cat <&- 2>/dev/null
export ENV=/nonexistent BASH_ENV=/nonexistent CDPATH=/; stty sane; cd /; echo "rel-ready 0"; false`},
	{"zsh", ".zshenv", `echo Welcome; print -n here; read -t 0.2 line; setopt nomatch; stty sane; false`},
	{"fish", ".config/fish/config.fish", `echo Welcome; echo loud >&2; stty sane; set -x ENV /nonexistent; false`},
	{"tcsh", ".cshrc", `echo Welcome; stty sane; setenv ENV /nonexistent; set noclobber; false`},
	{"csh", ".cshrc", `echo Welcome`},
	{"dash", ".profile", `echo Welcome`},
}

// Whatever the login shell is, and its profile prints and reads, the script, its data
// and its answer are the same.
func TestLoginShells(t *testing.T) {
	for _, p := range profiles {
		t.Run(p.shell, func(t *testing.T) {
			path, err := exec.LookPath(p.shell)
			if err != nil {
				if os.Getenv("CI") != "" {
					t.Fatal(err)
				}
				t.Skip(err)
			}
			home := t.TempDir()
			write(t, mkdir(t, filepath.Join(home, p.file)), p.text+"\n")
			line := `HOME=` + home + ` ENV=` + home + `/.profile exec ` + path + ` -c "$0"`
			if p.shell == "bash" {
				line = `HOME=` + home + ` BASH_ENV=` + home + `/.bashrc exec ` + path + ` -c "$0"`
			}
			_, d := newServer(t, func(s *server) { s.shell = []string{"/bin/sh", "-c", line} })
			h := dial(t, d)
			for range 2 { // the second one finds the shell of the first
				var lines []string
				out, err := h.Run(t.Context(), Script{Name: "s",
					Code: `printf "%s\n" "$A" "${ENV-}${BASH_ENV-}${CDPATH-}"; cat; echo done >&2`,
					Env:  map[string]string{"A": `a!b'c\n$HOME ~ %1 {x,y} "`}, Stdin: strings.NewReader("in!\\"),
					Line: func(line string) { lines = append(lines, line) }})
				if want := "a!b'c\\n$HOME ~ %1 {x,y} \"\n\nin!\\"; err != nil || string(out) != want {
					t.Errorf("it printed %q, %v, want %q", out, err, want)
				}
				if got := strings.Join(lines, "|"); got != "done" {
					t.Errorf("it complained %q", got)
				}
			}
		})
	}
}

func mkdir(t *testing.T, file string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

// A login shell that does not run the script is named, with what it said, and is not
// taken for a script that ran; nor is it waited for for ever.
func TestShellIsInTheWay(t *testing.T) {
	cases := []struct{ name, shell, why, said string }{
		{"nologin", `echo 'This account is currently not available.'; exit 1`, "ended with status 1", "This account is currently not available."},
		{"forced command that is content", `exit 0`, "ended with status 0", ""},
		{"forced command", `echo "restricted" >&2; exit 3`, "ended with status 3", "restricted"},
		{"profile that ends", `echo bye; exit 0; exec /bin/sh -c "$0"`, "ended with status 0", "bye"},
		{"profile that waits", `echo 'Your name?' >&2; cat; exec /bin/sh -c "$0"`, "did not get to the script within 1s", "Your name?"},
		{"profile without end", `while :; do echo x; done`, "printed more than 64 KiB", "x; x; x"},
		{"profile without end that complains", `while :; do echo y >&2; done`, "within 1s", "y; y; y"},
		{"one that only looks ready", `echo "rel-ready 0"; cat >/dev/null`, "within 1s", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, d := newServer(t, func(s *server) { s.shell = []string{"/bin/sh", "-c", c.shell} })
			h := dial(t, d)
			h.patience = time.Second
			_, err := h.Run(t.Context(), Script{Name: "s", Code: "true", Line: func(line string) { t.Errorf("it is shown %q", line) }})
			var shell *ShellError
			if !errors.As(err, &shell) {
				t.Fatalf("got %v", err)
			}
			contains(t, shell.Error(), "box: the login shell of tester", c.why)
			if shell.Said != c.said {
				t.Errorf("it said %q, want %q", shell.Said, c.said)
			}
		})
	}
}

// A head that reads more than it is told to, as busybox's does, is named before a script is
// sent: what comes after that script's size would be lost, and waited for.
func TestHeadReadsOn(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "head"), []byte("#!/bin/sh\n/usr/bin/head \"$@\"\ncat >/dev/null\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, d := newServer(t, func(s *server) { s.shell = []string{"/bin/sh", "-c", "PATH=" + dir + `:$PATH; exec /bin/sh -c "$0"`} })
	_, err := dial(t, d).Run(t.Context(), Script{Name: "s", Code: "true"})
	var head *HeadError
	if !errors.As(err, &head) || head.Host != "box" {
		t.Fatalf("got %v", err)
	}
}
