package phases

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"time"
)

//go:embed bundle.sh
var bundleScript string

//go:embed unbundle.sh
var unbundleScript string

// unbundleTimeout bounds the taking away of a bundle: nothing depends on it.
const unbundleTimeout = time.Minute

const (
	// inline is the most that goes through the operator without a thought: it takes no
	// longer than a script does.
	inline = 48 << 10
	// weighed is the most, by estimate, that is woven before it is settled how it goes: so
	// much takes no time, and patches may make a hundredth of it.
	weighed = 8 << 20
)

// bundle has the build host weave what several targets lack alike, or what may be little,
// before it is sent. remove takes it away again. With sweep, what an older run left goes
// first.
func bundle(ctx context.Context, p *Promotion, list []*courier, sweep string) (remove func(), err error) {
	s := list[0].sending("bundle.sh", bundleScript, map[string]string{"INLINE": strconv.Itoa(inline), "ID": p.ID, "SWEEP": sweep})
	s.Stdin = list[0].rows()
	s.Bytes, s.Line = true, p.lineOf(p.Build)
	out, err := p.Build.Run(ctx, s)
	p.Pulse.Beat()
	if err != nil {
		return nil, err
	}
	if data, ok := bytes.CutPrefix(out, []byte("data=\n")); ok && len(data) > 0 {
		for _, c := range list {
			c.data = data
		}
		return func() {}, nil
	}
	a, err := parseAnswer(p.Build.Name(), s.Name, out)
	file := a.get("bundle")
	if err == nil && file == "" {
		err = errors.New("it names no file")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: bundle.sh answered with no stream: %w", p.Build.Name(), err)
	}
	size, _ := strconv.ParseInt(a.get("bytes"), 10, 64)
	for _, c := range list {
		c.bundle, c.bundled = file, size
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unbundleTimeout)
		defer cancel()
		// What is left is swept by a later one.
		_, _ = ask(ctx, p, p.Build, Script{Name: "unbundle.sh", Code: unbundleScript, Env: map[string]string{"BUNDLE": file}})
	}, nil
}

// worthwhile reports whether what the couriers have alike is to be woven before it is
// sent: for several at once, and what may be no more than a script.
func worthwhile(p *Promotion, list []*courier) bool {
	c := list[0]
	switch {
	case p.Plan.Via == NixCopy || p.Plan.Via == Cached:
		return false
	case len(list) > 1:
		return true
	case p.Plan.Via != "":
		return false
	}
	return c.estimate() <= weighed && c.least() <= inline
}
