package main

import (
	"slices"
	"strings"
	"testing"
)

// TestInitAsks: what no flag says is asked for on a terminal, again where an answer can
// be no host.
func TestInitAsks(t *testing.T) {
	d := newDesktop(t)
	c := &initCmd{Repo: "/srv/shop/"}
	ended := make(chan error, 1)
	go func() { ended <- c.complete(t.Context(), d.house) }()
	const build, targets = "or user@host:port): ", "Targets (with blanks between them): "
	for _, answer := range []typing{{at: build, text: "-oProxyCommand=x\n"}, {at: build, text: " ci@forge:2222 \n"}, {at: targets, text: "one  two\n"}} {
		d.sees(answer.at)
		d.from = len(d.screen.String())
		d.types(answer.text)
	}
	if err := <-ended; err != nil || c.Build != "ci@forge:2222" || c.Repo != "/srv/shop" || !slices.Equal(c.Target, []string{"one", "two"}) {
		t.Errorf("got %+v, %v", c, err)
	}
	if d.from = 0; !strings.Contains(d.shown(), `--build "-oProxyCommand=x" is not a host: `) {
		t.Errorf("nothing is said of the wrong one:\n%s", d.shown())
	}
}
