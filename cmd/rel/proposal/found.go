package proposal

import (
	"net/netip"
	"strings"

	"choir.chat/rel/phases"
	"choir.chat/rel/remote"
)

// Found is what the hosts are like.
type Found struct {
	// Build is the build host, Repo the checkout there, Source what it has.
	Build, Repo string
	Source      *phases.Source
	Targets     []*FoundTarget
}

// FoundTarget is what a target is like.
type FoundTarget struct {
	Host   string
	User   string
	Served *phases.Served
	// Become is what the login becomes root with, and Asks says that it is asked for a
	// password; Sudo is why it cannot with sudo, nor with anything else.
	Become string
	Asks   bool
	Sudo   *remote.SudoError
	// Answers are those of the addresses that its units listen on.
	Answers map[netip.AddrPort]Answer
}

// WantsPassword reports whether sudo did not make root of the login for want of a password.
func (t *FoundTarget) WantsPassword() bool {
	return t.Sudo != nil && strings.Contains(t.Sudo.Said, "password")
}

// Answer is what a server said to a GET.
type Answer struct {
	path   string
	status int
	// commit says that the page has a commit in it, ours that it is the one that is
	// checked out there.
	commit, ours bool
	// err is why there was no answer.
	err error
}
