// Command rel-lab makes throwaway hosts to try rel on, changes what they serve, and takes them away again. What it made
// goes to stdout, what it does to stderr.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"choir.chat/rel/remote/lab"
)

// cli is the whole command line.
type cli struct {
	Dir string `help:"The lab's folder." default:"${dir}" env:"REL_LAB_DIR" type:"path"`

	Up    upCmd    `cmd:"" help:"Make a lab: a build host, targets, an origin. Nothing to do if it is up."`
	Down  downCmd  `cmd:"" help:"Take the lab away, all of it, also what a killed up has left."`
	Env   envCmd   `cmd:"" help:"Print the variables that make rel use the lab: eval \"$(rel-lab env)\"."`
	SSH   sshCmd   `cmd:"" name:"ssh" help:"Log in to a host, or run a command on it."`
	Bump  bumpCmd  `cmd:"" help:"Push a new version to the origin and print its commit."`
	Stop  stopCmd  `cmd:"" help:"Cut the power of a host, or end the origin."`
	Start startCmd `cmd:"" help:"Boot a stopped host again, or the origin."`
	Guard guardCmd `cmd:"" help:"Wait until stdin ends, then take the lab away."`
}

func main() {
	lab.Main()
	var c cli
	k := kong.Parse(&c, kong.Name("rel-lab"), kong.Description("Throwaway hosts to try rel on. Linux, as root."),
		kong.ShortUsageOnError(), kong.Vars{"dir": lab.DefaultDir, "broken": "," + strings.Join(lab.Broken, ",")})
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	k.BindTo(ctx, (*context.Context)(nil))
	if err := k.Run(&c); err != nil {
		fmt.Fprintln(os.Stderr, "rel-lab:", err)
		os.Exit(1)
	}
}

// talk is where a lab's own words go.
func talk(line string) { fmt.Fprintln(os.Stderr, line) }

type upCmd struct {
	Targets int `help:"How many targets." default:"1"`
}

func (u upCmd) Run(ctx context.Context, c *cli) error {
	l, err := lab.Up(ctx, lab.Options{Dir: c.Dir, Targets: u.Targets, Log: talk})
	if err != nil {
		return err
	}
	for _, h := range append([]string{lab.Origin, l.BuildHost()}, l.Targets()...) {
		fmt.Printf("%s\t%s\n", h, l.Addr(h))
	}
	return nil
}

type downCmd struct{}

func (downCmd) Run(ctx context.Context, c *cli) error { return lab.Down(ctx, c.Dir, talk) }

type envCmd struct{}

func (envCmd) Run(c *cli) error {
	l, err := lab.Open(c.Dir)
	if err != nil {
		return err
	}
	// No quoting: a lab's folder has no character that a shell reads anything into.
	fmt.Printf("export REL_CONFIG=%s REL_SSH_CONFIG=%s REL_JOURNAL=%s\n", l.ConfigPath(), l.SSHConfigPath(), l.JournalPath())
	return nil
}

type sshCmd struct {
	Host string   `arg:"" help:"Its name, as in the lab's ssh_config."`
	Cmd  []string `arg:"" optional:"" passthrough:"" help:"What to run there; a login without."`
}

func (s sshCmd) Run(c *cli) error {
	l, err := lab.Open(c.Dir)
	if err != nil {
		return err
	}
	ssh, err := exec.LookPath("ssh")
	if err != nil {
		return err
	}
	return syscall.Exec(ssh, append([]string{"ssh", "-F", l.SSHConfigPath(), s.Host}, s.Cmd...), os.Environ())
}

type bumpCmd struct {
	Broken string `help:"Break its hypervisor: health, crash, build, late or slow. The next bump mends it." enum:"${broken}" default:""`
	Only   string `help:"Touch only sandbox, hypervisor or desktop." enum:",sandbox,hypervisor,desktop" default:""`
}

func (b bumpCmd) Run(ctx context.Context, c *cli) error {
	l, err := lab.Open(c.Dir)
	if err != nil {
		return err
	}
	sha, err := l.Bump(ctx, lab.Bump{Broken: b.Broken, Only: b.Only})
	if err != nil {
		return err
	}
	fmt.Println(sha)
	return nil
}

type stopCmd struct {
	Name string `arg:"" help:"A host, or origin."`
}

func (s stopCmd) Run(ctx context.Context, c *cli) error {
	l, err := lab.Open(c.Dir)
	if err != nil {
		return err
	}
	if err := l.Stop(ctx, s.Name); err != nil {
		return err
	}
	talk(s.Name + ": stopped")
	return nil
}

type startCmd struct {
	Name string `arg:"" help:"A host, or origin."`
}

func (s startCmd) Run(ctx context.Context, c *cli) error {
	l, err := lab.Open(c.Dir)
	if err != nil {
		return err
	}
	if err := l.Start(ctx, s.Name); err != nil {
		return err
	}
	talk(s.Name + ": answers")
	return nil
}

type guardCmd struct{}

func (guardCmd) Run(c *cli) error { return lab.WatchOver(os.Stdin, c.Dir, talk) }
