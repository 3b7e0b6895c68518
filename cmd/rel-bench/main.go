// Command rel-bench measures rel beside what it takes the place of: the same release, or the same store paths, by each of
// them in turn, on the lab's hosts at a distance. It writes BENCHMARKS.md. Linux, as root.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"choir.chat/rel/remote/lab"
)

// options are the whole command line.
type options struct {
	Rel     string          `help:"The rel to measure." default:"bin/rel" type:"path"`
	Out     string          `help:"The report to write." short:"o" default:"BENCHMARKS.md" type:"path"`
	Raw     string          `help:"Write every single run there too, as JSON, one a line." type:"path" placeholder:"FILE"`
	From    []string        `help:"Measure nothing, and report what these files have of earlier measurements (--raw)." type:"existingfile" placeholder:"FILE"`
	Remark  string          `help:"What else is to be said of how it was measured." placeholder:"TEXT"`
	Pairs   int             `help:"How often each party runs." default:"5"`
	Cases   []string        `help:"Only these cases: ${cases}." sep:"," placeholder:"NAME"`
	Parties []string        `help:"Only these parties: ${parties}." sep:"," placeholder:"NAME"`
	RTT     []time.Duration `help:"Instead of each case's own latencies, these." sep:"," placeholder:"D"`
	Rate    []float64       `help:"Instead of each case's own bandwidths, these, in Mbit/s; 0 for no limit." sep:"," placeholder:"MBIT"`
	All     bool            `help:"Every case at 0, 50, 100 and 150 ms, unlimited and at 20 Mbit/s. It takes hours."`
	Quick   bool            `help:"One tiny case, once, to see that all of this works."`
	Within  time.Duration   `help:"Stop measuring after this time, and report what there is by then." default:"30m"`
}

func main() {
	lab.Main()
	var o options
	kong.Parse(&o, kong.Name("rel-bench"), kong.Description("Measure rel beside what it takes the place of."), kong.ShortUsageOnError(),
		kong.Vars{"cases": strings.Join(caseNames(), ", "), "parties": strings.Join(partyNames(), ", ")})
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := bench(ctx, o, func(line string) { fmt.Fprintln(os.Stderr, line) }); err != nil {
		fmt.Fprintln(os.Stderr, "rel-bench:", err)
		os.Exit(1)
	}
}
