package phases

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// account is a user of a target, whose keys copies come and go among.
type account struct {
	t *testing.T
	*local
	home, keys, stubs string
}

func newAccount(t *testing.T) *account {
	t.Helper()
	a := &account{t: t, home: t.TempDir(), stubs: t.TempDir()}
	a.keys = filepath.Join(a.home, ".ssh/authorized_keys")
	a.local = &local{name: "prod", state: t.TempDir(), env: []string{"PATH=" + a.stubs + ":" + os.Getenv("PATH")}}
	a.stub("getent", `echo "root:x:0:0::`+a.home+`:/bin/sh"`)
	a.stub("sshd", "echo authorizedkeysfile .ssh/authorized_keys .ssh/authorized_keys2")
	a.stub("pgrep", "exit 1")
	for _, app := range []string{"one", "two"} {
		if err := os.MkdirAll(filepath.Join(a.state, app, "releases/id"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// stub puts a command before the real one.
func (a *account) stub(name, script string) {
	a.t.Helper()
	if err := os.WriteFile(filepath.Join(a.stubs, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		a.t.Fatal(err)
	}
}

func (a *account) write(text string) {
	a.t.Helper()
	if err := os.MkdirAll(filepath.Dir(a.keys), 0o700); err != nil {
		a.t.Fatal(err)
	}
	if err := os.WriteFile(a.keys, []byte(text), 0o640); err != nil {
		a.t.Fatal(err)
	}
}

// text is the file; "-" if there is none.
func (a *account) text() string {
	text, err := os.ReadFile(a.keys)
	if err != nil {
		return "-"
	}
	return string(text)
}

const testKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEa/b+c"

func (a *account) run(name, code, app string) (string, error) {
	a.t.Helper()
	out, err := a.Run(context.Background(), Script{Name: name, Code: targetHead + keysPart + code, Env: map[string]string{
		"APP": app, "ID": "id", "EPOCH": "1", "LOGIN": "root", "KEY": testKey, "FROM": "10.0.0.1", "PORT": "22", "LIFE": "600", "BECOME": "", "WANTS": "MOST=1 ALL=1",
	}, Stdin: strings.NewReader(unpackScript + lastLine)})
	return string(out), err
}

func (a *account) admit(app string) (string, error)   { return a.run("admit.sh", admitScript, app) }
func (a *account) dismiss(app string) (string, error) { return a.run("dismiss.sh", dismissScript, app) }
func (a *account) sweep(app string) (string, error) {
	return a.run("sweep", "set -eu\nwithdraw_all || say no\n", app)
}

func TestKeysComeAndGo(t *testing.T) {
	for name, before := range map[string]string{
		"as usual": "ssh-rsa AAAA ana@mbp\n", "no last newline": "# ours\nssh-rsa AAAA ana@mbp", "CRLF": "ssh-rsa AAAA ana\r\n\r\n",
		"empty": "", "no file": "-", "NUL": "a\x00b\nssh-rsa AAAA", "of another's": "ssh-rsa AAAA rel-one-use three id\n",
	} {
		for how, dismiss := range map[string]func(*account, string) (string, error){"dismissed": (*account).dismiss, "swept": (*account).sweep} {
			t.Run(name+", "+how, func(t *testing.T) {
				a := newAccount(t)
				if before != "-" {
					a.write(before)
				}
				for _, app := range []string{"one", "two", "one"} {
					if out, err := a.admit(app); err != nil || out != "" {
						t.Fatal(out, err)
					}
				}
				if text := a.text(); strings.Count(text, testKey) != 2 || !strings.HasSuffix(text, strings.TrimPrefix(before, "-")) ||
					!strings.Contains(text, `from="10.0.0.1",command="exec /bin/sh `+a.state+`/one/releases/id/unpack.sh" `+testKey+" rel-one-use one id") {
					t.Errorf("admitted:\n%s", text)
				}
				for _, app := range []string{"one", "two"} {
					if _, err := dismiss(a, app); err != nil {
						t.Fatal(err)
					}
				}
				if text := a.text(); text != before {
					t.Errorf("afterwards %q, before %q", text, before)
				}
				if left, _ := filepath.Glob(a.keys + ".*"); len(left) > 0 {
					t.Errorf("left: %v", left)
				}
			})
		}
	}
}

// TestKeysAreNotLost: whatever fails while the keys are changed, they are as they were.
func TestKeysAreNotLost(t *testing.T) {
	const before = "ssh-rsa AAAA ana@mbp\nssh-rsa BBBB bob@mbp"
	for _, command := range []string{"cp", "cat", "sed", "sync", "mv", "mktemp", "flock", "cksum"} {
		for _, how := range []string{"exit 1", "kill -9 $$"} {
			t.Run(command+", "+how, func(t *testing.T) {
				a := newAccount(t)
				a.write(before)
				// The first fails when it is about the keys.
				real := fmt.Sprintf(`case "$PWD$*" in *authorized_keys* | "$PWD-w 30 7") %s ;; esac; PATH=%s; exec %s "$@"`, how, os.Getenv("PATH"), command)
				try := func(fn func(string) (string, error)) {
					a.stub(command, real)
					_, _ = fn("one")
					text := a.text()
					if ours, rest, ok := strings.Cut(text, "\n"); ok && strings.HasSuffix(ours, "rel-one-use one id") {
						text = rest
					}
					if text != before {
						t.Errorf("the keys are\n%q", a.text())
					}
					if err := os.Remove(filepath.Join(a.stubs, command)); err != nil {
						t.Fatal(err)
					}
				}
				try(a.admit)
				if _, err := a.admit("one"); err != nil {
					t.Fatal(err)
				}
				try(a.sweep)
				if _, err := a.admit("one"); err != nil {
					t.Fatal(err)
				}
				try(a.dismiss)
				if _, err := a.sweep("one"); err != nil || a.text() != before {
					t.Errorf("afterwards %q, %v", a.text(), err)
				}
			})
		}
	}
}

func TestKeysElsewhere(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*account)
		says   string
	}{
		"a link": {func(a *account) {
			a.write("")
			os.Rename(a.keys, a.keys+"x")
			os.Symlink(a.keys+"x", a.keys)
			a.stub("sshd", "echo authorizedkeysfile .ssh/authorized_keys")
		}, "cannot be changed"},
		"none":          {func(a *account) { a.stub("sshd", "echo authorizedkeysfile none") }, "cannot be changed"},
		"not said":      {func(a *account) { a.stub("sshd", "exit 255") }, "cannot be changed"},
		"outside":       {func(a *account) { a.stub("sshd", "echo authorizedkeysfile /nowhere/%u") }, "cannot be changed"},
		"not root":      {func(a *account) { a.stub("id", "echo 1000") }, "root is not root there"},
		"the home gone": {func(a *account) { a.stub("getent", "exit 2") }, "cannot be changed"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAccount(t)
			c.change(a)
			if out, err := a.admit("one"); err != nil || !strings.HasPrefix(out, "elsewhere=") || !strings.Contains(out, c.says) {
				t.Errorf("%q, %v", out, err)
			}
			if text := a.text(); strings.Contains(text, testKey) {
				t.Errorf("admitted:\n%s", text)
			}
		})
	}
}

// TestLateAdmission: a key that was taken back already is not let in any more.
func TestLateAdmission(t *testing.T) {
	a := newAccount(t)
	a.write("ssh-rsa AAAA\n")
	if _, err := a.dismiss("one"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.admit("one"); err == nil || a.text() != "ssh-rsa AAAA\n" {
		t.Errorf("%v; %q", err, a.text())
	}
}
