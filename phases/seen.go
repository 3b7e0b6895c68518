package phases

import (
	"context"
	"errors"
	"sync"
	"time"
)

// seenFor is how long what a host answered stands for what it is like. In a run that
// nothing holds up it is asked, held, synced and verified within a few seconds.
const seenFor = 30 * time.Second

// Seen is what the hosts have answered this run of late, so that of two steps in a row
// that want to know the same only the first asks. It is never recorded: whoever resumes
// asks anew. What the run changes it forgets, and what others may have changed as well:
// that is what [Seen.held] is about. What it cannot know of, such as a link that is
// repointed by hand meanwhile, the targets compare by themselves before they act.
//
// A nil Seen has seen nothing, and keeps nothing.
type Seen struct {
	mu sync.Mutex
	// looks are the targets' by name, checkouts the hosts' by their place in
	// [Promotion.checkouts].
	looks     map[string]sighting[*Look]
	checkouts map[int]sighting[answer]
	// leads are the commits that were asked after, each once: what a commit leads to
	// never changes.
	leads map[string]*lead
	// verified says that this run has verified the targets, and has had their hold
	// since: no other has repointed a link in between.
	verified bool
	// jobs are the targets whose live release has the script of a job that this rel sends.
	jobs map[string]bool
}

// sighting is an answer, and when it was asked for.
type sighting[T any] struct {
	what T
	at   time.Time
}

func (s sighting[T]) fresh() bool { return !s.at.IsZero() && time.Since(s.at) < seenFor }

// look is what the target was like a moment ago; nil, if that is not known.
func (s *Seen) look(target string) *Look {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if seen := s.looks[target]; seen.fresh() {
		return seen.what
	}
	return nil
}

func (s *Seen) keepLook(target string, at time.Time, look *Look) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.looks == nil {
		s.looks = map[string]sighting[*Look]{}
	}
	s.looks[target] = sighting[*Look]{look, at}
}

// checkout is what was answered of a checkout a moment ago; nil, if that is not known.
func (s *Seen) checkout(i int) answer {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if seen := s.checkouts[i]; seen.fresh() {
		return seen.what
	}
	return nil
}

func (s *Seen) keepCheckout(i int, at time.Time, a answer) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.checkouts == nil {
		s.checkouts = map[int]sighting[answer]{}
	}
	s.checkouts[i] = sighting[answer]{a, at}
}

// forgetCheckout is for one that is about to be moved.
func (s *Seen) forgetCheckout(i int) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.checkouts, i)
}

// forget forgets what the hosts were like.
func (s *Seen) forget() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.looks)
	clear(s.checkouts)
}

// held is told of the epoch that a target granted. What was seen before counts only if
// nobody held the target then, and nobody has since: epochs are granted one by one.
func (s *Seen) held(target string, epoch int64) {
	look := s.look(target)
	if look == nil || look.Hold == nil && epoch == look.Epoch+1 {
		return
	}
	s.forget()
}

// settle ends the part of the run in which answers are used again.
func (s *Seen) settle() {
	if s == nil {
		return
	}
	s.forget()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.verified = true
}

// settled reports whether the facts of verify are of this run.
func (s *Seen) settled() bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.verified
}

// keepJob takes note of whether the target has the script of a job.
func (s *Seen) keepJob(target string, has bool) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.jobs == nil {
		s.jobs = map[string]bool{}
	}
	s.jobs[target] = has
}

func (s *Seen) job(target string) bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.jobs[target]
}

var errNotAnswered = errors.New("not answered")

// lead is the answer to whether one commit leads to another.
type lead struct {
	done chan struct{}
	yes  bool
	err  error
}

// lead is what ask answers of the commit, asked once for all who want to know. Who
// waited for an answer that did not come asks for it.
func (s *Seen) lead(ctx context.Context, commit string, ask func() (bool, error)) (bool, error) {
	if s == nil {
		return ask()
	}
	s.mu.Lock()
	l, asked := s.leads[commit]
	if !asked {
		if s.leads == nil {
			s.leads = map[string]*lead{}
		}
		l = &lead{done: make(chan struct{})}
		s.leads[commit] = l
	}
	s.mu.Unlock()
	if asked {
		select {
		case <-l.done:
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
		if l.err != nil {
			return ask()
		}
		return l.yes, nil
	}
	defer close(l.done)
	l.err = errNotAnswered // for those who wait, should this one not come to an end
	l.yes, l.err = ask()
	return l.yes, l.err
}

// abreast runs the funcs side by side, waits for all, and returns the error of the
// first that has one.
func abreast(name string, fns ...func() error) error {
	failures := make([]error, len(fns))
	var wait sync.WaitGroup
	for i, fn := range fns {
		wait.Go(func() { failures[i] = guard(name, fn) })
	}
	wait.Wait()
	for _, err := range failures {
		if err != nil {
			return err
		}
	}
	return nil
}
