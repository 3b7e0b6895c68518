package phases

import (
	"context"
	_ "embed"
	"io"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

//go:embed pack.sh
var packPart string

//go:embed export.sh
var exportScript string

//go:embed import.sh
var importScript string

// relay pipes an export of the paths on the build host into an import on the
// target, through the two connections that are open anyway: neither host needs
// to reach the other, and the operator needs no Nix.
func relay(ctx context.Context, p *Promotion, target Host, accept string, paths []string) (int64, error) {
	var (
		group, cut = errgroup.WithContext(ctx)
		out, in    = io.Pipe()
		meter      = counter{pulse: p.Pulse}
	)
	group.Go(func() error {
		err := guard(p.Build.Name(), func() error {
			_, err := p.Build.Run(cut, Script{
				Name: "export.sh", Code: packPart + exportScript, Stdin: lines(paths),
				Env:    map[string]string{"ACCEPT": accept},
				Stdout: io.MultiWriter(in, &meter),
				Line:   p.lineOf(p.Build),
			})
			return err
		})
		// With an error the import sees a broken stream, not a finished one.
		in.CloseWithError(err)
		return err
	})
	group.Go(func() error {
		err := guard(target.Name(), func() error {
			_, err := target.Run(cut, Script{
				Name: "import.sh", Code: importScript, Root: true, Stdin: out, Stdout: io.Discard,
				Line: p.lineOf(target),
			})
			return err
		})
		out.CloseWithError(err)
		return err
	})
	err := group.Wait()
	return meter.Load(), err
}

// counter counts what is written to it, and takes it for a sign of life.
type counter struct {
	atomic.Int64
	pulse *Pulse
}

func (c *counter) Write(b []byte) (int, error) {
	c.pulse.Beat()
	c.Add(int64(len(b)))
	return len(b), nil
}
