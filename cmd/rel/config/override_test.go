package config

import (
	"testing"

	"choir.chat/rel/phases"
)

func TestOverride(t *testing.T) {
	c, err := load(t, goodConfig)
	if err != nil {
		t.Fatal(err)
	}
	c.Override(Override{BuildHost: "g", Targets: []string{"choiros-prod", "p2"}, Repo: "/r", BuildRepo: "/gr", Manifest: "/m"})
	p, err := c.Plan()
	if err != nil {
		t.Fatal(err)
	}
	if p.Build != (phases.Site{Host: "g", Repo: "/gr"}) || p.Targets[1] != (phases.Site{Host: "p2", Repo: "/r"}) || p.Manifest != "/m" {
		t.Errorf("the plan is %+v", p)
	}
}
