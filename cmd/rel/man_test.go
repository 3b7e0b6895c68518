package main

import (
	"fmt"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"choir.chat/rel/phases"
)

func man(t *testing.T, page string) string {
	t.Helper()
	var out, err syncBuffer
	if code := run(t.Context(), []string{"man", page}, stdio{out: &out, err: &err}); code != exitOK {
		t.Fatalf("rel man %s: exit %d: %s", page, code, err.String())
	}
	return out.String()
}

// groff has nothing to say against the pages, and they have what they should.
func TestMan(t *testing.T) {
	if strings.Contains(man(t, "rel.1"), "__complete") {
		t.Error("what is hidden is shown")
	}
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Skip("there is no groff")
	}
	for page, parts := range map[string][]string{
		"rel.1": {"NAME\n", "\n   rel start [flags]\n", "rel rollback [<id>] [flags]", "--allow-downgrade", "REL_JOURNAL", "SEE ALSO",
			"130    interrupted; can be resumed", "rel start -m 'login fix'"},
		"rel.toml.5": {"\nEXAMPLE\n", `body = "${sha}"`, "copy.via = \"auto\"", "limit.<phase>.silence", "app = (needed)"},
	} {
		cmd := exec.CommandContext(t.Context(), groff, "-man", "-Tascii", "-ww", "-P-c", "-P-b", "-P-u")
		cmd.Stdin = strings.NewReader(man(t, page))
		var out, said strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &said
		if err := cmd.Run(); err != nil || said.String() != "" {
			t.Errorf("groff: %v: %s", err, said.String())
		}
		for _, part := range parts {
			if !strings.Contains(out.String(), part) {
				t.Errorf("%s lacks %q:\n%s", page, part, out.String())
			}
		}
	}
}

// The table of keys has every key of rel.toml, in the order of the struct's, and no other.
func TestKeys(t *testing.T) {
	var want, got []string
	var walk func(table string, of reflect.Type)
	walk = func(table string, of reflect.Type) {
		for i := range of.NumField() {
			name, kind := of.Field(i).Tag.Get("toml"), of.Field(i).Type
			if kind.Kind() == reflect.Slice {
				kind = kind.Elem()
			}
			switch {
			case name == "":
			case of == reflect.TypeFor[limitsConfig]():
				if name == "sync" {
					walk(table+"<phase>.", kind)
				}
			case kind.Kind() == reflect.Struct:
				walk(table+name+".", kind)
			default:
				want = append(want, table+name)
			}
		}
	}
	walk("", reflect.TypeFor[config]())
	for _, k := range configKeys {
		got = append(got, k.name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the keys are\n%q, want\n%q", got, want)
	}
}

// The defaults that the table tells are those that hold.
func TestKeysDefaults(t *testing.T) {
	c, err := load(t, configExample)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]any{"branch": c.Branch, "manifest": c.Manifest, "confirm": c.Confirm, "on_unhealthy": c.OnUnhealthy, "keep": c.Keep,
		"services.settle": c.Services.Settle, "copy.via": c.Copy.Via}
	plan, err := c.plan()
	if err != nil {
		t.Fatal(err)
	}
	check := plan.Checks[0]
	for name, value := range map[string]any{"from": check.From, "status": check.Status, "start_period": check.StartPeriod, "interval": check.Interval,
		"timeout": check.Timeout, "successes": check.Successes, "deadline": check.Deadline, "insecure": check.Insecure} {
		got["check."+name] = value
	}
	for _, k := range configKeys {
		value, known := got[k.name]
		if d, ok := value.(phases.Duration); ok {
			value = strings.TrimSuffix(time.Duration(d).String(), "m0s")
			if value != time.Duration(d).String() {
				value = fmt.Sprint(value) + "m"
			}
		}
		want := strings.Trim(strings.ReplaceAll(k.value, "<app>", "choiros"), `"`)
		if delete(got, k.name); known && fmt.Sprint(value) != want {
			t.Errorf("%s is %v by default, the table says %s", k.name, value, k.value)
		}
	}
	if len(got) > 0 {
		t.Errorf("the table has nothing of %v", got)
	}
}
