package config

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"choir.chat/rel/phases"
)

// FuzzParse: whatever a rel.toml holds, it is refused with errors that name the
// file, or it becomes a plan whose values can go into lists with a row a line.
func FuzzParse(f *testing.F) {
	f.Add(goodConfig)
	for _, change := range []struct{ old, new string }{
		{`"choiros"`, `"choir os"`}, {`"choiros"`, "'''choir\nos'''"}, {`"./sandbox#sandbox"`, `"a\u0085b"`}, {`"./sandbox#sandbox"`, `"a\nb"`},
		{`"hypervisor"`, `"a\tb"`}, {`name = "up"`, `name = "u\u009bp"`}, {`name = "up"`, "name = \"up\"\nheader = \"A: b\\u0000\""},
		{`name = "up"`, "name = \"up\"\nlocation = \"a\\nb\"\nbody = '''a\nb'''\nresolve = \"\\u001b[2J\""},
		{`[services]`, "[services]\nsettle = \"9223372036854775807ns\""}, {`app =`, "confirm = \"-1s\"\nbecome = \"sudo\"\napp ="},
		{`[build]`, "[[build]]"}, {`[[target]]`, "[target]"}, {`repo = `, `"" = `}, {`[services]`, "[a.b.c.d]"},
		{`host = "choiros-prod"`, `host = "[::1]:22"`}, {`app`, `build.repo.x = 1` + "\napp"},
	} {
		f.Add(strings.Replace(goodConfig, change.old, change.new, 1))
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse("rel.toml", []byte(text))
		if err == nil {
			err = c.Validate()
		}
		if err != nil {
			var wrong *Error
			if !errors.As(err, &wrong) || wrong.Path != "rel.toml" || wrong.Text == "" {
				t.Errorf("got %T (%v)", err, err)
			}
			return
		}
		for i := range c.Check {
			c.Check[i].CA = "" // a file of the machine's, such as /dev/zero
		}
		p, err := c.Plan()
		if err != nil {
			t.Fatal(err)
		}
		checkRows(t, p)
		checkShown(t, c)
		if len(Differences(p, p)) > 0 || len(p.Targets) == 0 || len(p.Artifacts) == 0 || p.Keep < 1 {
			t.Errorf("the plan is %+v", p)
		}
	})
}

// checkRows looks at what of a plan is shown, and goes into scripts' lists and
// environments.
func checkRows(t *testing.T, p phases.Plan) {
	t.Helper()
	values := append([]string{p.App, p.Branch, p.Manifest, p.OnUnhealthy, p.Build.Host, p.Build.Repo}, p.Restart...)
	for _, target := range p.Targets {
		values = append(values, target.Host, target.Repo, target.FromBuild, target.Become)
	}
	for _, a := range p.Artifacts {
		values = append(values, a.Name, a.Flake, a.Binary, a.Link)
		if a.Name == "" || a.Link == "" || a.Link[0] != '/' || strings.HasPrefix(a.Flake, "-") {
			t.Errorf("the artifact is %+v", a)
		}
	}
	for _, c := range p.Checks {
		values = append(append(values, c.Name, c.Header), c.URLs...)
		if len(c.URLs) == 0 || c.Successes < 1 || c.Status < 100 || c.Interval <= 0 || c.Timeout <= 0 || c.Deadline <= 0 || c.StartPeriod < 0 {
			t.Errorf("the check is %+v", c)
		}
	}
	for _, value := range values {
		if strings.ContainsFunc(value, unicode.IsControl) || !utf8.ValidString(value) {
			t.Errorf("%q was taken", value)
		}
	}
}
