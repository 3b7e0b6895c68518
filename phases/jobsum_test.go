package phases

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
)

// reader is a far host that keeps what start.sh was sent.
type reader struct {
	*far
	// like says that what is live there still has the script when it is looked for.
	like bool
	sums []string
	sent []string
}

func (r *reader) Run(ctx context.Context, s Script) ([]byte, error) {
	if s.Name != "start.sh" {
		return r.far.Run(ctx, s)
	}
	text, _ := io.ReadAll(s.Stdin)
	r.sums, r.sent = append(r.sums, s.Env["SUM"]), append(r.sent, string(text))
	if s.Env["SUM"] != "" && !r.like {
		return []byte("unlike=yes\n"), nil
	}
	s.Stdin = nil
	return r.far.Run(ctx, s)
}

// TestJobIsNotSentTwice: a target whose live release has the script of the job is not sent
// it again, unless it has gone by then.
func TestJobIsNotSentTwice(t *testing.T) {
	for _, c := range []struct {
		name      string
		has, like bool
		// sums are whether it was left to what is there, each time that the job was started.
		sums []bool
	}{
		{"it has none", false, false, []bool{false}},
		{"it has it", true, true, []bool{true}},
		{"it had it", true, false, []bool{true, false}},
	} {
		synctest.Test(t, func(t *testing.T) {
			p, site := newFar(1)
			host := &reader{far: p.Targets[0].(*far), like: c.like}
			p.Targets[0] = host
			if c.has {
				site.answers["receive.sh"] = "job=yes\nmissing=" + farPath + "\nfree=99999999\nroom=99999999\naccept=zstd\n"
			}
			p.ID, p.Seen = "1", new(Seen)
			p.Facts.Build = &Release{ID: "1", Commit: site.commit, Outputs: []Output{{Artifact: p.Plan.Artifacts[0], Path: farPath}}, Closure: []string{farPath}}
			p.Facts.Verify = &Verified{Targets: map[string]TargetBefore{}}
			if _, err := receive(t.Context(), p, host); err != nil {
				t.Fatal(err)
			}
			if err := Apply(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			p.Drop()
			for i, sum := range host.sums {
				whole := strings.HasSuffix(host.sent[i], "---\n"+jobScript()+lastLine)
				if i >= len(c.sums) || (sum == jobSum()) != c.sums[i] || whole == c.sums[i] {
					t.Errorf("%s: start %d has sum %q, and the script: %t", c.name, i, sum, whole)
				}
			}
			if len(host.sums) != len(c.sums) {
				t.Errorf("%s: it was started %d times", c.name, len(host.sums))
			}
		})
	}
}
