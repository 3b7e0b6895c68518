package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"choir.chat/rel/phases"
)

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
			case of == reflect.TypeFor[Limits]():
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
	walk("", reflect.TypeFor[File]())
	for _, k := range Keys {
		got = append(got, k.Name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the keys are\n%q, want\n%q", got, want)
	}
}

// The defaults that the table tells are those that hold.
func TestKeysDefaults(t *testing.T) {
	c, err := load(t, Example)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]any{"branch": c.Branch, "manifest": c.Manifest, "confirm": c.Confirm, "on_unhealthy": c.OnUnhealthy, "keep": c.Keep,
		"services.settle": c.Services.Settle, "copy.via": c.Copy.Via}
	plan, err := c.Plan()
	if err != nil {
		t.Fatal(err)
	}
	check := plan.Checks[0]
	for name, value := range map[string]any{"from": check.From, "status": check.Status, "start_period": check.StartPeriod, "interval": check.Interval,
		"timeout": check.Timeout, "successes": check.Successes, "deadline": check.Deadline, "insecure": check.Insecure} {
		got["check."+name] = value
	}
	for _, k := range Keys {
		value, known := got[k.Name]
		if d, ok := value.(phases.Duration); ok {
			value = strings.TrimSuffix(time.Duration(d).String(), "m0s")
			if value != time.Duration(d).String() {
				value = fmt.Sprint(value) + "m"
			}
		}
		want := strings.Trim(strings.ReplaceAll(k.Value, "<app>", "choiros"), `"`)
		if delete(got, k.Name); known && fmt.Sprint(value) != want {
			t.Errorf("%s is %v by default, the table says %s", k.Name, value, k.Value)
		}
	}
	if len(got) > 0 {
		t.Errorf("the table has nothing of %v", got)
	}
}
