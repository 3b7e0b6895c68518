package phases

import (
	"context"
	"crypto/rand"
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

//go:embed withdraw.sh
var withdrawScript string

//go:embed admit.sh
var admitScript string

//go:embed dismiss.sh
var dismissScript string

//go:embed source.sh
var sourceScript string

//go:embed login.sh
var loginPart string

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
	// Grant says that the host lets its key in: whoever uses it before waits.
	Grant()
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

// prepare begins what sending takes, before it is known whether anything is lacking: the
// build host's session, and its address. It does not log in at the target before.
func (c *courier) prepare(ctx context.Context) error {
	loan, err := c.target.Loan(ctx, c.site.FromBuild)
	if err != nil {
		return err
	}
	// Beside each other: where the host has no session more, it makes room, and ends.
	c.prepared = c.begin(ctx, loan, true)
	if err := c.seek(ctx, loan); err != nil {
		c.unprepare()
		return err
	}
	return nil
}

// send has the build host send to the target, with a login that it has for that alone.
func (c *courier) send(ctx context.Context) (*receipt, int64, error) {
	e := c.prepared
	if c.prepared = nil; e == nil || e.over() {
		loan, err := c.target.Loan(ctx, c.site.FromBuild)
		if err != nil {
			return nil, 0, err
		}
		// Before it is begun: the host may have no session more.
		if err := c.seek(ctx, loan); err != nil {
			return nil, 0, err
		}
		e = c.begin(ctx, loan, false)
	}
	got, sent, err := c.use(ctx, e)
	var refused *hinderedError
	if c.source == "" || !errors.As(err, &refused) || !strings.Contains(refused.why, "Permission denied") ||
		e.loan.Spent() || e.loan.Refused() != nil {
		return got, sent, err
	}
	// There may be something between the two that changes addresses.
	c.source = ""
	loan, err := c.target.Loan(ctx, c.site.FromBuild)
	if err != nil {
		return got, sent, err
	}
	return c.use(ctx, c.begin(ctx, loan, false))
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

// use lets the key in, and sends: the build host's ssh is there by then, and asks for the
// key. At its first use the key goes away by itself; if it was
// not used, or that is not known, it is taken away.
func (c *courier) use(ctx context.Context, e *errand) (got *receipt, sent int64, err error) {
	e.load(c.rows())
	if err := c.admit(ctx, e.loan); err != nil {
		e.drop()
		c.dismiss(ctx, e.loan)
		return nil, 0, err
	}
	e.loan.Grant()
	if got, sent, err = e.wait(); err != nil || c.p.Plan.Via == NixCopy {
		c.dismiss(ctx, e.loan)
	}
	return got, sent, err
}

// admit lets the key in. The error is a *hinderedError where somebody else may take the
// cargo there.
func (c *courier) admit(ctx context.Context, loan Loan) error {
	become, err := loan.Become()
	if err != nil {
		return &hinderedError{err.Error()}
	}
	code := unpackScript
	if c.p.Plan.Via == NixCopy {
		code = daemonScript
	}
	s := c.p.onTarget(c.target, "admit.sh", keysPart+admitScript, map[string]string{
		"LOGIN": loan.User(), "KEY": loan.Key(), "FROM": c.source, "PORT": loan.Port(), "LIFE": strconv.Itoa(int(loanLife.Seconds())),
		"BECOME": become, "WANTS": fmt.Sprintf("EPOCH=%s MOST=%d ALL=%d", c.p.epoch(c.target), patchMost, patchesMost),
	})
	s.Stdin = strings.NewReader(targetHead + keysPart + withdrawScript + code + lastLine)
	a, err := ask(ctx, c.p, c.target, s)
	var taken *HoldLostError
	switch why := a.get("elsewhere"); {
	case isLost(err) || ctx.Err() != nil || errors.As(err, &taken):
		return err
	case err != nil:
		return &hinderedError{err.Error()}
	case why != "":
		return &hinderedError{why}
	}
	return nil
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

// lent is a script of the build host's that may use the loan. said takes what it marks,
// and heard all else.
func (c *courier) lent(name, code string, loan Loan, said *saying, heard func(string)) Script {
	s := c.sending(name, loginPart+code, map[string]string{
		"KEY": loan.Key(), "LOGIN": loan.User(), "ADDRESS": loan.Address(), "PORT": loan.Port(), "HOSTKEY": loan.HostKey(), "MARK": said.mark,
	})
	show := s.Line
	s.Loan = loan
	s.Line = func(line string) {
		if line == "" || said.take(line) {
			return
		}
		heard(line)
		if !counted.MatchString(line) {
			show(line)
		}
	}
	return s
}

// push runs push.sh on the build host, with the rows once they are there.
func (c *courier) push(ctx context.Context, e *errand) (got *receipt, sent int64, err error) {
	said := saying{mark: "rel-" + rand.Text()}
	tail := "it did not say why"
	beside := regexp.MustCompile(`signal 13|Broken pipe`) // what comes of another's end
	var taken *HoldLostError
	s := c.lent("push.sh", pushScript, e.loan, &said, func(line string) {
		if who := c.fenced(line); who != nil {
			taken = who
		} else if m := counted.FindStringSubmatch(line); m == nil {
			if !beside.MatchString(line) {
				tail = line
			}
		} else if n, err := strconv.ParseInt(m[1], 10, 64); err == nil {
			sent = n
			c.p.Pulse.Beat()
			c.under(n)
		}
	})
	// When this ends, however it does, the script's input does: it stops what still runs.
	wanted, unwanted := io.Pipe()
	defer unwanted.Close()
	s.Stdin, s.Lasts = io.MultiReader(e.gate, wanted), e.early
	e.later(&s)
	var failure error
	got, err = c.reading(ctx, &s, e.loaded, func() error {
		_, failure = c.p.Build.Run(ctx, s)
		return failure
	})
	switch {
	case taken != nil:
		return got, sent, taken
	case failure != nil && !isLost(failure) && ctx.Err() == nil:
		return got, sent, &hinderedError{failure.Error()}
	case failure != nil:
		return got, sent, failure
	}
	if failed := pushed(c.p.Build.Name(), said.marked, e.loan, tail); failed != nil {
		err = failed
	}
	return got, sent, err
}

// pushed is what push.sh's answer comes to; tail is the last line that anything said
// of its own accord.
func pushed(host string, a answer, loan Loan, tail string) error {
	sent, ssh := a.get("sent"), a.get("ssh")
	switch {
	case sent == "0" && ssh == "0":
		return nil
	case loan.Refused() != nil:
		return &hinderedError{fmt.Sprintf("%s used the login in a way that it was not lent for: %v", host, loan.Refused())}
	case ssh == strconv.Itoa(spoilt):
		return &patchError{tail}
	case ssh == "255" && loan.Spent():
		return &hinderedError{fmt.Sprintf("the connection of %s to it broke off: %s", host, tail)}
	case ssh == "255":
		return &hinderedError{fmt.Sprintf("%s could not log in there: %s", host, orTail(strings.Join(a.all("said"), "; "), tail))}
	case ssh == "0":
		return fmt.Errorf("%s: nix-store could not give the store paths: %s", host, tail)
	}
	// Where one of the two fails, the other is cut off.
	return fmt.Errorf("the store paths did not arrive (giving them on %s ended with %s, taking them there with %s): %s", host, sent, ssh, tail)
}

func orTail(said, tail string) string {
	if said == "" {
		return tail
	}
	return said
}
