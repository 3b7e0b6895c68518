package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const goodConfig = `app = "choiros"
repo = "/opt/choiros/workspace"

[build]
host = "choiros-grind"

[[target]]
host = "choiros-prod"

[[artifact]]
name = "sandbox"
flake = "./sandbox#sandbox"
binary = "bin/sandbox"
link = "/opt/choiros/bin/sandbox"

[services]
restart = ["container@sandbox-live", "hypervisor"]

[[check]]
name = "up"
url = "http://127.0.0.1:9090/health"
`

func load(t *testing.T, text string) (*File, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rel.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Read(path)
}

// Each mistake is named with its place, and where one was surely meant, with
// what was meant.
func TestMistakes(t *testing.T) {
	cases := []struct {
		name     string
		old, new string
		says     []string
	}{
		{"unknown key", `repo = "/opt`, `repp = "/opt`, []string{`rel.toml:2:1: unknown key "repp"; did you mean "repo"?`}},
		{"unknown key in a table", `flake = `, `flaek = `, []string{`rel.toml:12:1: unknown key "artifact.flaek"; did you mean "flake"?`}},
		{"unknown table", `[services]`, `[servcies]`, []string{"unknown key", `did you mean "services"?`}},
		{"wrong type", `app = "choiros"`, `app = 7`, []string{"rel.toml:1:", "app"}},
		{"wrong duration", `app = "choiros"`, "app = \"choiros\"\nconfirm = \"soon\"", []string{"rel.toml:2:", "soon"}},
		{"no TOML", `app = "choiros"`, `app = "choiros`, []string{"rel.toml:1:"}},
		{"no app", `app = "choiros"`, ``, []string{"app is missing"}},
		{"app with a space", `"choiros"`, `"choir os"`, []string{`app = "choir os" is not a name of small letters`}},
		{"no artifact", "[[artifact]]\nname = \"sandbox\"\nflake = \"./sandbox#sandbox\"\nbinary = \"bin/sandbox\"\nlink = \"/opt/choiros/bin/sandbox\"\n", "",
			[]string{"there is no [[artifact]]"}},
		{"relative link", `"/opt/choiros/bin/sandbox"`, `"opt/sandbox"`, []string{`artifact "sandbox".link = "opt/sandbox" is not`}},
		{"link out of its way", `"/opt/choiros/bin/sandbox"`, `"/opt/../bin/x"`, []string{"absolute path in its shortest form"}},
		{"link with a substitution", `"/opt/choiros/bin/sandbox"`, `"/opt/$(id)"`, []string{`link = "/opt/$(id)" is not an absolute path of letters`}},
		{"two artifacts on one link", `[services]`, "[[artifact]]\nname = \"b\"\nflake = \"#b\"\nbinary = \"bin/b\"\nlink = \"/opt/choiros/bin/sandbox\"\n[services]",
			[]string{`artifact "b": link /opt/choiros/bin/sandbox is that of artifact "sandbox" already`}},
		{"binary outside", `"bin/sandbox"`, `"../../bin/sh"`, []string{`binary = "../../bin/sh" is not a path within`}},
		{"flake that is a flag", `"./sandbox#sandbox"`, `"--impure"`, []string{`flake = "--impure" is no flake output`}},
		{"unknown from", `name = "up"`, "name = \"up\"\nfrom = \"moon\"", []string{`check "up": from = "moon" is neither "target" nor "operator"`}},
		{"no url", `url = "http://127.0.0.1:9090/health"`, ``, []string{`check "up": one of url and any_of has to be set`}},
		{"no web address", `"http://127.0.0.1:9090/health"`, `"ftp://x"`, []string{`"ftp://x" is no http or https URL`}},
		{"no such ca", `name = "up"`, "name = \"up\"\nca = \"none.pem\"", nil},
		{"host that is a flag", `"choiros-prod"`, `"-oProxyCommand=x"`, []string{"target[0].host"}},
		{"unit with a space", `"hypervisor"`, `"a b"`, []string{`services.restart[1] = "a b"`}},
		{"neither", `app = "choiros"`, "app = \"choiros\"\non_unhealthy = \"pray\"", []string{`on_unhealthy = "pray" is neither "revert" nor "keep"`}},
		{"keep nothing", `app = "choiros"`, "app = \"choiros\"\nkeep = 0", []string{"keep = 0"}},
		{"unknown become", `app = "choiros"`, "app = \"choiros\"\nbecome = \"magic\"", []string{`target[0]: become: "magic" is none of "sudo", "doas" and "run0"`}},
		{"two ways to become root", `app = "choiros"`, "app = \"choiros\"\nbecome = \"sudo\"\nbecome_command = \"ksu -q\"", []string{`become root by "sudo" and by "ksu -q"`}},
		{"a command for a shell", `app = "choiros"`, "app = \"choiros\"\nbecome_command = \"su -c $SHELL\"", []string{`"$SHELL" is no word that every shell takes`}},
		{"password in the file", `app = "choiros"`, "app = \"choiros\"\nbecome = \"sudo\"\nbecome_password = \"canary\"", []string{`become_password is not "ask"`}},
		{"password for doas", `app = "choiros"`, "app = \"choiros\"\nbecome = \"doas\"\nbecome_password = \"ask\"", []string{"only sudo takes a password"}},
		{"password in a URL", `url = "http`, `url = "http://canary:canary@h/" # `, []string{`"http://***@h/" has a name or a password in it`}},
		{"header without a value", `name = "up"`, "name = \"up\"\nheader = \"X-Sha\"", []string{`check "up": header = "X-Sha" is not of the form "Name: value"`}},
		{"header that is none", `name = "up"`, "name = \"up\"\nheader = \"X Sha: 1\"", []string{`header = "X Sha: 1" is not of the form`}},
		{"no settling", `[services]`, "[services]\nsettle = \"0s\"", []string{`services.settle = "0s" is not a number of seconds`}},
		{"a window of an hour", `app = "choiros"`, "app = \"choiros\"\nconfirm = \"1h\"", []string{`confirm = "1h0m0s" is longer than 20m0s`}},
		{"half a second", `app = "choiros"`, "app = \"choiros\"\nconfirm = \"500ms\"", []string{"is not a number of seconds"}},
	}
	for _, c := range cases {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			text := strings.Replace(goodConfig, c.old, c.new, 1)
			if text == goodConfig {
				t.Fatal("nothing was changed")
			}
			conf, err := load(t, text)
			if err == nil {
				_, err = conf.Plan()
			}
			var wrong *Error
			if !errors.As(err, &wrong) {
				t.Fatalf("got %v", err)
			}
			for _, word := range c.says {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q is not in %q", word, err)
				}
			}
			if strings.Contains(err.Error(), "struct") || strings.Contains(err.Error(), "config.") {
				t.Errorf("it speaks of Go: %q", err)
			}
		})
	}
}

func TestIsFoundAbove(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "a", "b")
	if err := os.MkdirAll(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(deep)
	if _, err := Read(""); err == nil || !strings.Contains(err.Error(), "--config") {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "rel.toml"), []byte(goodConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := Read(""); err != nil || filepath.Base(filepath.Dir(c.path)) != filepath.Base(dir) {
		t.Errorf("got %+v, %v", c, err)
	}
}
