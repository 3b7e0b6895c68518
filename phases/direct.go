package phases

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
)

//go:embed keys.sh
var keysPart string

//go:embed admit.sh
var admitScript string

//go:embed dismiss.sh
var dismissScript string

//go:embed source.sh
var sourceScript string

//go:embed push.sh
var pushScript string

// Loan is a login at a host, for another host to use while a script that has it runs
// there. Its key is in no file.
type Loan interface {
	// Key is what the host has to let in, HostKey what it proves itself with: a key's
	// type and the key in base64.
	Key() string
	HostKey() string
	// User, Address and Port are where the login is good.
	User() string
	Address() string
	Port() string
	// Become has the words before a command that is to be root's; none for root's own
	// login. It fails if somebody has to type a password there.
	Become() (string, error)
	// Spent reports whether it was used, and Refused why a use of it was not granted; nil
	// if none was refused.
	Spent() bool
	Refused() error
}

const (
	// loanLife is for how long a lent key may log in. It does so at once; a copy that
	// is under way then goes on.
	loanLife = 10 * time.Minute
	// dismissTimeout bounds the taking back of a key: by then nothing else is waited for.
	dismissTimeout = time.Minute
)

// send has the build host send the paths to the target, with a login that it has for
// that alone.
func (c *courier) send(ctx context.Context, paths []string) (int64, error) {
	loan, err := c.target.Loan(ctx, c.site.FromBuild)
	if err != nil {
		return 0, err
	}
	if err := c.seek(ctx, loan); err != nil {
		return 0, err
	}
	sent, err := c.use(ctx, loan, paths)
	var refused *hinderedError
	if c.source == "" || !errors.As(err, &refused) || !strings.Contains(refused.why, "Permission denied") ||
		loan.Spent() || loan.Refused() != nil {
		return sent, err
	}
	// There may be something between the two that changes addresses.
	c.source = ""
	if loan, err = c.target.Loan(ctx, c.site.FromBuild); err != nil {
		return sent, err
	}
	return c.use(ctx, loan, paths)
}

// seek finds the address that the build host reaches the target from.
func (c *courier) seek(ctx context.Context, loan Loan) error {
	if c.sought {
		return nil
	}
	a, err := ask(ctx, c.p, c.p.Build, Script{
		Name: "source.sh", Code: sourceScript, Env: map[string]string{"ADDRESS": loan.Address()}, Reads: true,
	})
	if err != nil {
		return err
	}
	if address, err := netip.ParseAddr(a.get("source")); err == nil && address.Zone() == "" {
		c.source = address.String()
	}
	c.sought = true
	return nil
}

// use lets the key in, sends, and takes the key away again, whatever has happened.
func (c *courier) use(ctx context.Context, loan Loan, paths []string) (int64, error) {
	become, err := loan.Become()
	if err != nil {
		return 0, &hinderedError{err.Error()}
	}
	s := c.p.onTarget(c.target, "admit.sh", keysPart+admitScript, map[string]string{
		"LOGIN": loan.User(), "KEY": loan.Key(), "FROM": c.source, "PORT": loan.Port(), "LIFE": strconv.Itoa(int(loanLife.Seconds())),
		"BECOME": become,
	})
	s.Stdin = strings.NewReader(importScript + lastLine)
	// Also if it is not known whether it was let in.
	defer c.dismiss(ctx, loan)
	a, err := ask(ctx, c.p, c.target, s)
	var taken *HoldLostError
	switch why := a.get("elsewhere"); {
	case isLost(err) || errors.As(err, &taken):
		return 0, err
	case err != nil:
		return 0, &hinderedError{err.Error()}
	case why != "":
		return 0, &hinderedError{why}
	}
	return c.push(ctx, loan, paths)
}

// dismiss takes the key away. What fails here is done by the next run; the key is no
// good any more by then.
func (c *courier) dismiss(ctx context.Context, loan Loan) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dismissTimeout)
	defer cancel()
	s := c.p.onTarget(c.target, "dismiss.sh", keysPart+dismissScript, map[string]string{"KEY": loan.Key()})
	if _, err := ask(ctx, c.p, c.target, s); err != nil {
		c.p.Line(c.target.Name(), fmt.Sprintf("the key of this copy is still among those of %s, and no longer good in %s: %v",
			loan.User(), loanLife, err))
	}
}

// hinderedError says why the build host cannot send by itself, where somebody else
// may.
type hinderedError struct{ why string }

func (e *hinderedError) Error() string { return e.why }

// counted are dd's lines: how much it has passed on, and in how many blocks.
var counted = regexp.MustCompile(`^(?:(\d{1,18}) bytes .*|\d+\+\d+ records (?:in|out))$`)

// push runs push.sh on the build host.
func (c *courier) push(ctx context.Context, loan Loan, paths []string) (sent int64, err error) {
	tail := "it did not say why"
	beside := regexp.MustCompile(`signal 13|Broken pipe`) // what comes of another's end
	show := c.p.lineOf(c.p.Build)
	// When this ends, however it does, the script's input does: it stops what still runs.
	wanted, unwanted := io.Pipe()
	defer unwanted.Close()
	a, err := ask(ctx, c.p, c.p.Build, Script{
		Name: "push.sh", Code: packPart + pushScript, Loan: loan,
		Env: map[string]string{
			"ACCEPT": c.accept, "KEY": loan.Key(), "LOGIN": loan.User(), "ADDRESS": loan.Address(), "PORT": loan.Port(), "HOSTKEY": loan.HostKey(),
		},
		Stdin: io.MultiReader(lines(paths), strings.NewReader(lastLine), wanted),
		Line: func(line string) {
			if m := counted.FindStringSubmatch(line); m == nil {
				show(line)
				if !beside.MatchString(line) {
					tail = line
				}
			} else if n, err := strconv.ParseInt(m[1], 10, 64); err == nil {
				sent = n
				c.p.Pulse.Beat()
			}
		},
	})
	switch {
	case err == nil:
		return sent, pushed(c.p.Build.Name(), a, loan, tail)
	case isLost(err) || ctx.Err() != nil:
		return sent, err
	}
	return sent, &hinderedError{err.Error()}
}

// pushed is what push.sh's answer comes to; tail is the last line that anything said
// of its own accord.
func pushed(host string, a answer, loan Loan, tail string) error {
	exported, ssh := a.get("export"), a.get("ssh")
	switch {
	case exported == "0" && ssh == "0":
		return nil
	case loan.Refused() != nil:
		return &hinderedError{fmt.Sprintf("%s used the login in a way that it was not lent for: %v", host, loan.Refused())}
	case ssh == "255" && loan.Spent():
		return &hinderedError{fmt.Sprintf("the connection of %s to it broke off: %s", host, tail)}
	case ssh == "255":
		return &hinderedError{fmt.Sprintf("%s could not log in there: %s", host, orTail(strings.Join(a.all("said"), "; "), tail))}
	case ssh == "0":
		return fmt.Errorf("%s: nix-store --export failed (%s): %s", host, exported, tail)
	}
	// Where one of the two fails, the other is cut off.
	return fmt.Errorf("the store paths did not arrive (nix-store --export on %s: %s, --import there: %s): %s", host, exported, ssh, tail)
}

func orTail(said, tail string) string {
	if said == "" {
		return tail
	}
	return said
}
