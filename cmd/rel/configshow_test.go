package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"choir.chat/rel/cmd/rel/config"
)

// everyOrigin is a configuration whose values come from everywhere, and what is shown of it.
func everyOrigin(t *testing.T) (text, shown string) {
	t.Helper()
	var both [2]string
	for i, name := range []string{"every.toml", "shown.toml"} {
		b, err := os.ReadFile(filepath.Join("config", "testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		both[i] = string(b)
	}
	return both[0], both[1]
}

// alone runs rel in a folder of its own, without hosts.
func alone(t *testing.T, args ...string) outcome {
	t.Helper()
	var out, err syncBuffer
	code := run(t.Context(), args, stdio{out: &out, err: &err})
	return outcome{code, out.String(), err.String()}
}

func TestConfigShow(t *testing.T) {
	every, everyShown := everyOrigin(t)
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"REL_CONFIG", "REL_SSH_CONFIG", "REL_PROGRESS", "REL_COLOR", "REL_YES"} {
		t.Setenv(name, "") // put back when the test is over
		os.Unsetenv(name)
	}
	journal := filepath.Join(dir, "state", "journal.db")
	t.Setenv("REL_JOURNAL", journal)
	if err := os.WriteFile("rel.toml", []byte(every), 0o600); err != nil {
		t.Fatal(err)
	}
	o := alone(t, "config", "--color=never")
	flags := "# config: " + filepath.Join(dir, "rel.toml") + " (default)\n# journal: " + journal + " (REL_JOURNAL)\n" +
		"# ssh-config: - (default)\n# progress: auto (default)\n# color: never (--color)\n# yes: false (default)\n\n"
	if want := flags + everyShown; o.code != exitOK || o.out != want {
		t.Errorf("exit %d\n%s%s\nwant\n%s", o.code, o.out, o.err, want)
	}
	var document struct {
		Schema   int
		File     string
		Flags    []setFlag
		Settings []config.Setting
	}
	if err := json.Unmarshal([]byte(alone(t, "config", "--json").out), &document); err != nil || document.Schema != 1 {
		t.Fatalf("%v: %+v", err, document)
	}
	if first := document.Settings[0]; first.Key != "app" || first.Value != "shop" || first.From != "file" || first.Line != 1 || document.File != filepath.Join(dir, "rel.toml") {
		t.Errorf("got %+v", document)
	}
	if _, err := os.Stat(filepath.Dir(journal)); err == nil {
		t.Error("the journal's folder was made")
	}
}

// TestConfigCheck: all that is wrong is told, with its place, whatever is wrong besides.
func TestConfigCheck(t *testing.T) {
	every, _ := everyOrigin(t)
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("REL_JOURNAL", filepath.Join(dir, "state", "journal.db"))
	for _, c := range []struct{ text, want string }{
		{every, "f.toml: nothing is wrong with it: shop, 2 targets, 1 artifact, 1 check\n"},
		{"app = \"x\"\nrepo = \"/r\"\n[build]\nhost = \"-b\"\n[[target]]\nhots = \"t\"\n[[artifact]]\nname = \"a\"\nflake = \"-x\"\nbinary = \"bin/a\"\nlink = \"/l\"\n" +
			"[services]\nrestart = [\"ok\", # fine\n  \"not ok\"]\n[[check]]\nname = \"c\"\nurl = \"ftp://x\"\nca = \"none.pem\"\n",
			`f.toml:4:1: build.host = "-b" is not a host: an alias of your SSH configuration, or user@host:port
f.toml:5:3: target[0].host is missing
f.toml:6:1: unknown key "target.hots"; did you mean "host"?
f.toml:9:1: artifact "a": flake = "-x" is no flake output, such as ./sandbox#sandbox
f.toml:14:3: services.restart[1] = "not ok" is not the name of a unit: letters, digits and @ : . _ -
f.toml:17:1: check "c": "ftp://x" is no http or https URL
`},
		{"app = \"x\nb = 1\n", "f.toml:1:9: "},
		{"target = [{ host = \"-t\" }]", "f.toml: app is missing\n"},
	} {
		if err := os.WriteFile("f.toml", []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		o := alone(t, "config", "--check", "f.toml")
		code := exitUsage
		if c.text == every {
			code = exitOK
		}
		if o.code != code || !strings.HasPrefix(o.out, c.want) || o.err != "" {
			t.Errorf("exit %d\n%s%s\nwant\n%s", o.code, o.out, o.err, c.want)
		}
	}
	o := alone(t, "config", "--check", "f.toml", "--json")
	var document struct {
		Schema int
		File   string
		Errors []struct {
			Line, Column int
			Text         string
		}
	}
	if err := json.Unmarshal([]byte(o.out), &document); err != nil || o.code != exitUsage || document.Schema != 1 || document.File != "f.toml" || len(document.Errors) < 3 ||
		document.Errors[len(document.Errors)-1].Column != 13 {
		t.Errorf("%v, exit %d: %s", err, o.code, o.out)
	}
	if o := alone(t, "config", "--check", "none.toml"); o.code != exitUsage || !strings.HasPrefix(o.out, "none.toml: no such file") {
		t.Errorf("exit %d: %s%s", o.code, o.out, o.err)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
		t.Errorf("there is %v, %v", names, err)
	}
}

func TestConfigCheckStandardInput(t *testing.T) {
	name := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(name, []byte(config.Example), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var out, complaints syncBuffer
	if code := run(t.Context(), []string{"config", "--check", "-"}, stdio{in: in, out: &out, err: &complaints}); code != exitOK {
		t.Errorf("exit %d: %s%s", code, out.String(), complaints.String())
	}
}
