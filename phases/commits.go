package phases

import (
	"context"
	_ "embed"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed commits.sh
var commitsScript string

// History is what lies between the commit that a target runs and another.
type History struct {
	// Commit is the live one; empty before there is one.
	Commit string `json:"sha,omitempty"`
	// New are those that the target does not run yet, newest first, and Gone those that it
	// would run no longer; More and Fewer are how many of them are left out.
	New   []Commit `json:"new,omitempty"`
	More  int      `json:"more,omitempty"`
	Gone  []Commit `json:"gone,omitempty"`
	Fewer int      `json:"fewer,omitempty"`
	// Unknown says that the build host's checkout does not have the live commit.
	Unknown bool `json:"unknown,omitempty"`
	// Origin is the URL that the build host's checkout is fetched from.
	Origin string `json:"-"`
}

// Commit is one of a history.
type Commit struct {
	ID      string    `json:"sha"`
	Author  string    `json:"author"`
	When    time.Time `json:"when"`
	Subject string    `json:"subject"`
}

// Histories asks the build host for what lies between the targets' live commits and the
// plan's. looks are what the targets were like a moment ago.
func Histories(ctx context.Context, p *Promotion, looks []*Look) ([]History, error) {
	list := make([]History, len(looks))
	once := map[string]func() (History, error){}
	for _, look := range looks {
		if old := look.LiveCommit; once[old] == nil {
			once[old] = sync.OnceValues(func() (History, error) { return p.commits(ctx, old) })
		}
	}
	return list, each(ctx, p.Targets, func(_ context.Context, i int, _ Host) (err error) {
		list[i], err = once[looks[i].LiveCommit]()
		return err
	})
}

func (p *Promotion) commits(ctx context.Context, old string) (History, error) {
	h := History{Commit: old}
	if !isCommit(old) || old == p.Plan.Commit {
		return h, nil
	}
	a, err := ask(ctx, p, p.Build, Script{Name: "commits.sh", Code: commitsScript, Reads: true, Env: map[string]string{
		"REPO": p.Plan.Build.Repo, "OLD": old, "NEW": p.Plan.Commit,
	}})
	if err != nil {
		return h, err
	}
	h.New, h.Gone, h.Unknown, h.Origin = parseCommits(a.all("new")), parseCommits(a.all("gone")), a.has("unknown"), a.get("origin")
	h.More, _ = strconv.Atoi(a.get("more"))
	h.Fewer, _ = strconv.Atoi(a.get("fewer"))
	return h, nil
}

func parseCommits(rows []string) []Commit {
	var list []Commit
	for _, row := range rows {
		fields := append(strings.SplitN(row, "\t", 4), "", "", "")
		when, _ := time.Parse(time.RFC3339, fields[2])
		list = append(list, Commit{ID: fields[0], Author: fields[1], When: when, Subject: fields[3]})
	}
	return list
}
