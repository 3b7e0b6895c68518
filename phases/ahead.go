package phases

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

//go:embed watch.sh
var watchScript string

// ahead sends the targets what is built already, while the rest of a release is being
// built. Nothing depends on it: what it does not send, copy sends.
type ahead struct {
	// promotion is as it is while it is built.
	promotion Promotion
	// begun is closed when Nix has begun to build, and built when it has ended.
	begun, built chan struct{}
	once         sync.Once
	cancel       context.CancelFunc

	done chan struct{}
	// sent is what each target got, and failure what ended it before its time; both are
	// there when done is closed.
	sent    map[string][]Sent
	failure error
}

// Patience is how long a build takes at least for which it is worth while to look what
// of it is done. It is a variable for tests of what is done then.
var Patience = 2 * time.Second

// beginning is what Nix says once it knows what to build: to evaluate beside it takes
// nothing away from it then.
var beginning = regexp.MustCompile(`^(?:building|copying path) '/nix/store/`)

// setOut has what is built go ahead, where there is more than one artifact, and rel sends
// them by itself. Without, it is nil, which goes nowhere.
func (p *Promotion) setOut(ctx context.Context) *ahead {
	if p.Plan.Via == NixCopy || p.Plan.Via == Cached || len(p.Plan.Artifacts) < 2 {
		return nil
	}
	a := &ahead{promotion: *p, begun: make(chan struct{}), built: make(chan struct{}), done: make(chan struct{}), sent: map[string][]Sent{}}
	// It outlives the phase that begins it.
	ctx, a.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(a.done)
		a.failure = guard(p.Build.Name(), func() error { return a.run(ctx) })
	}()
	return a
}

// listen is line, and hears from it when Nix begins to build.
func (a *ahead) listen(line func(string)) func(string) {
	if a == nil {
		return line
	}
	return func(text string) {
		if beginning.MatchString(text) {
			a.once.Do(func() { close(a.begun) })
		}
		line(text)
	}
}

// over says that all is built: what is on its way arrives, and no more is sent off.
func (a *ahead) over() {
	if a != nil {
		close(a.built)
	}
}

// drop ends it, and what is on its way.
func (a *ahead) drop() {
	if a != nil {
		a.cancel()
		<-a.done
	}
}

// run sends off what is built until all is.
func (a *ahead) run(ctx context.Context) error {
	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer stop()
	begun, finished := a.begun, make(chan *Release, len(a.promotion.Plan.Artifacts))
	var worth <-chan time.Time
	for {
		select {
		case <-begun:
			begun, worth = nil, time.After(Patience)
		case <-worth:
			watch.Go(func() { a.watch(watching, finished) })
		case release := <-finished:
			if err := a.send(ctx, release); err != nil {
				return err
			}
		case <-a.built:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// watch tells of each artifact that is built, until it is not to any more.
func (a *ahead) watch(ctx context.Context, finished chan<- *Release) {
	p := &a.promotion
	rows := make([][]string, len(p.Plan.Artifacts))
	for i, artifact := range p.Plan.Artifacts {
		rows[i] = []string{"artifact", artifact.Name, artifact.Flake}
	}
	wanted, unwanted := io.Pipe()
	said, say := io.Pipe()
	go func() {
		<-ctx.Done()
		unwanted.Close()
	}()
	var reading sync.WaitGroup
	reading.Go(func() {
		// One that says what it should not is listened to no more; what it writes still
		// has to go somewhere.
		_ = guard(p.Build.Name(), func() error { return a.read(said, finished) })
		_, _ = io.Copy(io.Discard, said)
	})
	_, _ = p.Build.Run(ctx, Script{
		Name: "watch.sh", Code: outputsPart + infosPart + watchScript, Env: map[string]string{"REPO": p.Plan.Build.Repo},
		Stdin: io.MultiReader(table(rows...), strings.NewReader(lastLine), wanted), Stdout: say, Lasts: true, Line: func(string) {},
	})
	say.Close()
	reading.Wait()
}

// toldCap is the most, in bytes, that may be said of one artifact: as much as of all.
const toldCap = 12 << 20

// read reads what watch.sh says.
func (a *ahead) read(said io.Reader, finished chan<- *Release) error {
	p := &a.promotion
	lines, text := bufio.NewScanner(said), strings.Builder{}
	for left := len(p.Plan.Artifacts); left > 0 && lines.Scan(); {
		text.WriteString(lines.Text() + "\n")
		if text.Len() > toldCap {
			return errors.New("it says too much")
		}
		if !strings.HasPrefix(lines.Text(), "told=") {
			continue
		}
		answer, err := parseAnswer(p.Build.Name(), "watch.sh", []byte(text.String()))
		if err != nil {
			return err
		}
		artifacts := slices.DeleteFunc(slices.Clone(p.Plan.Artifacts), func(artifact Artifact) bool { return artifact.Name != answer.get("told") })
		if len(artifacts) == 0 {
			return errors.New("it tells of what was not asked for")
		}
		release := p.newRelease()
		if err := release.describe(p, answer, artifacts); err != nil {
			return err
		}
		finished <- release
		left--
		text.Reset()
	}
	return lines.Err()
}

// send sends the targets what they lack of the release.
func (a *ahead) send(ctx context.Context, release *Release) error {
	p := a.promotion
	p.Facts = Facts{Build: release}
	p.Note, p.Line, p.Pulse, p.Tick = func(string, string) {}, func(string, string) {}, new(Pulse), nil
	limit := p.Limit(&Phase{Name: "copy", Silence: copySilence})
	ctx, stop := p.Pulse.Watch(ctx, "copy", time.Duration(limit.Silence))
	defer stop()
	sent, err := supply(ctx, &p, func(context.Context, Host) error { return nil })
	for i, target := range p.Targets {
		if sent[i].Paths > 0 {
			a.sent[target.Name()] = append(a.sent[target.Name()], sent[i])
		}
	}
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// arrived waits until what is on its way has arrived, and returns what that was.
func (p *Promotion) arrived(ctx context.Context) (map[string][]Sent, error) {
	a := p.ahead
	if a == nil {
		return nil, nil
	}
	defer p.Drop()
	for waiting := true; waiting; {
		select {
		case <-a.done:
			waiting = false
		case <-time.After(heartbeat): // its own silence is watched
			p.Pulse.Beat()
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	for _, target := range p.Targets {
		if all := total(a.sent[target.Name()]); all.Paths > 0 {
			text := fmt.Sprintf("%s, %s, while the rest was built", CountText(all.Paths, "path"), all.size())
			if all.Why != "" {
				text += ", " + wayTexts[Relayed] + " (" + all.Why + ")"
			}
			p.Note(target.Name(), text)
		}
	}
	if a.failure != nil {
		p.Note(p.Build.Name(), fmt.Sprintf("what was built could not be sent before the rest was: %v", a.failure))
	}
	return a.sent, nil
}

// total is how much they come to, and why some of them were relayed, if any were.
func total(list []Sent) (all Sent) {
	for _, sent := range list {
		all.Paths += sent.Paths
		all.Bytes += sent.Bytes
		all.Unpacked += sent.Unpacked
		if sent.Relayed {
			all.Why = sent.Why
		}
	}
	return all
}
