package config

import (
	"strings"
	"testing"
	"time"
)

func TestDefaults(t *testing.T) {
	c, err := load(t, goodConfig)
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Plan()
	if err != nil {
		t.Fatal(err)
	}
	if p.Branch != "main" || p.Manifest != "/tmp/choiros-release.env" || p.OnUnhealthy != "revert" || p.Keep != 5 ||
		time.Duration(p.Confirm) != 2*time.Minute || p.Build.Repo != "/opt/choiros/workspace" || p.Targets[0].Repo != "/opt/choiros/workspace" {
		t.Errorf("the plan is %+v", p)
	}
	check := p.Checks[0]
	if check.From != "target" || check.Status != 200 || check.Successes != 2 || time.Duration(check.Deadline) != time.Minute {
		t.Errorf("the check is %+v", check)
	}
}

func TestOwnRepos(t *testing.T) {
	text := strings.Replace(goodConfig, `host = "choiros-prod"`, "host = \"choiros-prod\"\nrepo = \"\"", 1)
	text = strings.Replace(text, `host = "choiros-grind"`, "host = \"choiros-grind\"\nrepo = \"/srv/other\"", 1)
	c, err := load(t, text)
	if err != nil {
		t.Fatal(err)
	}
	p, _ := c.Plan()
	if p.Build.Repo != "/srv/other" || p.Targets[0].Repo != "" {
		t.Errorf("the plan is %+v", p)
	}
}

func TestDifferences(t *testing.T) {
	c, err := load(t, goodConfig)
	if err != nil {
		t.Fatal(err)
	}
	recorded, _ := c.Plan()
	recorded.Commit, recorded.AllowDowngrade = "abc", true
	today, _ := c.Plan()
	if got := Differences(recorded, today); got != nil {
		t.Errorf("a plan differs from itself in %v", got)
	}
	today.Keep, today.Checks = 7, nil
	if got := strings.Join(Differences(recorded, today), " "); got != "checks keep" {
		t.Errorf("it differs in %s", got)
	}
}
