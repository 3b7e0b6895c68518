package remote

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Become is how a login that is not root's becomes root. All connections to a host
// share one, so that a password is asked for once in a run; it is kept in memory
// alone, and goes to the host over the script's input and no other way.
type Become struct {
	// words go before what is to run as root.
	words []string
	// ask asks the operator for the password of a user; nil where nobody is asked.
	ask func(ctx context.Context, user string) (string, error)

	// asking is held by who asks, mu never for as long as that.
	asking   chan struct{}
	mu       sync.Mutex
	asked    bool
	password string
	err      error
}

// becomes are the commands that are known. None of them asks anybody for a password:
// they fail, before the bootstrap says its first word.
var becomes = map[string][]string{
	"sudo": {"sudo", "-n"},
	"doas": {"doas", "-n"},
	// Where its input is no terminal, run0 passes it on as it is.
	"run0": {"run0", "--no-ask-password"},
}

// prompt is what sudo says when it wants a password. It is one word to every shell.
const prompt = "rel-password:"

// becomeWord is a word that means itself in every login shell.
var becomeWord = regexp.MustCompile(`^[A-Za-z0-9/._-][A-Za-z0-9/._+@%=:,-]*$`)

// NewBecome is the way that is called name ("sudo", "doas" or "run0"), or else the
// command, whose words are split at blanks and which no shell reads. With ask, sudo is
// given the password that ask returns, if it wants one.
func NewBecome(name, command string, ask func(ctx context.Context, user string) (string, error)) (*Become, error) {
	words, known := becomes[name]
	switch {
	case name != "" && !known:
		return nil, fmt.Errorf(`%q is none of "sudo", "doas" and "run0"; become_command is for others`, name)
	case name != "" && command != "":
		return nil, fmt.Errorf("it is to become root by %q and by %q", name, command)
	case ask != nil && name != "sudo":
		return nil, fmt.Errorf("only sudo takes a password from its input, and not the terminal")
	case ask != nil:
		// -k: whether there is a password to be read must not depend on what sudo
		// remembers, which ends in the middle of a run.
		words = []string{"sudo", "-k", "-S", "-p", prompt}
	case name == "":
		words = strings.Fields(command)
	}
	if len(words) == 0 {
		return nil, fmt.Errorf("there is no command in %q", command)
	}
	for i, word := range words {
		if !becomeWord.MatchString(word) || i == 0 && word[0] == '-' {
			return nil, fmt.Errorf("%q is no word that every shell takes as it is: letters, digits and /._+@%%=:,- are", word)
		}
	}
	return &Become{words: words, ask: ask, asking: make(chan struct{}, 1)}, nil
}

func (b *Become) String() string {
	if b.ask != nil {
		return "sudo"
	}
	return b.command()
}

// command is what goes before what is to run as root.
func (b *Become) command() string { return strings.Join(b.words, " ") }

// answer is the user's password. What came of asking for it, or of using it, holds
// for the run: a password that was refused once is not tried again, since hosts lock
// out who does that.
func (b *Become) answer(ctx context.Context, user string) (string, error) {
	select {
	case b.asking <- struct{}{}:
		defer func() { <-b.asking }()
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	if password, asked, err := b.known(); asked {
		return password, err
	}
	password, err := b.ask(ctx, user)
	b.learn(password, err)
	return password, err
}

func (b *Become) known() (password string, asked bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.password, b.asked, b.err
}

func (b *Become) learn(password string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked, b.password, b.err = true, password, err
}

// refused is why there is no use in trying again.
func (b *Become) refused() error {
	_, _, err := b.known()
	return err
}

// sudoError is the error of a password that is not to be had, or that was refused
// before.
func (h *Host) sudoError(err error) error {
	var before *SudoError
	if errors.As(err, &before) {
		return err
	}
	return &SudoError{Host: h.name, User: h.client.User(), By: h.Become.String(), Err: err}
}

// becomeTimeout bounds the first use of sudo and its like, with the question for a
// password: name services and PAM may take their time.
const becomeTimeout = 3 * time.Minute

// TryBecome makes sure that the login user can become root, where that is needed. The
// error is a *[SudoError] if they cannot.
func (h *Host) TryBecome(ctx context.Context) error {
	if h.Become == nil {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, becomeTimeout, fmt.Errorf("%s took longer than %s", h.Become, becomeTimeout))
	defer cancel()
	// The shell that can do it waits for the first script.
	sh, err := h.shell(ctx, &talk{host: h, script: &Script{Root: true}}, false)
	if err != nil {
		return err
	}
	h.seats.keep(sh)
	return nil
}
