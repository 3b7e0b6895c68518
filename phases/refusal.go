package phases

import (
	"fmt"
	"strings"
)

// Reason is why a promotion was refused before anything was changed.
type Reason string

// The reasons, each with what Refusal.Thing and Refusal.Items hold.
const (
	NoCheckout    Reason = "no git checkout"              // the folder
	NotOurs       Reason = "checkout of another user"     // the folder
	ReadOnly      Reason = "checkout is not writable"     // the folder; who logs in there
	Dirty         Reason = "uncommitted changes"          // the checkout; git's status lines
	Diverged      Reason = "commits that are not pushed"  // the checkout; those commits
	WrongBranch   Reason = "another branch checked out"   // the checkout; the branch it is on, and the one wanted
	UnknownCommit Reason = "no such commit"               // the commit that was asked for
	NotOnBranch   Reason = "commit is not on the branch"  // the commit; the branch
	CommitsDiffer Reason = "another commit"               // the checkout; the commit it is on
	Downgrade     Reason = "older than what is live"      // the live commit
	NoNix         Reason = "no usable nix"                // what nix said
	NoUnit        Reason = "no such unit"                 // -; the units
	Occupied      Reason = "not a link"                   // -; the paths that something else lies at
	NoFolder      Reason = "no such folder"               // -; the folders
	NotRoot       Reason = "not root"                     // the user
	NoRoom        Reason = "too little disk space"        // the folder; free and needed
	Held          Reason = "another promotion is at work" // its id
	Unconfirmed   Reason = "an unconfirmed release"       // its promotion; the live one, if nothing takes it back
	NoSystemd     Reason = "systemd does not run"         // -
	Drift         Reason = "repointed by hand"            // -; the links
	RolledBack    Reason = "rolled back before"           // the promotion; its commit
	Collected     Reason = "no longer in the store"       // the promotion; the nearest that is
	NoLinks       Reason = "no links to adopt"            // -
	NotInStore    Reason = "leads out of the store"       // the link; what it points at
	Adopted       Reason = "has a ledger already"         // the live promotion
	TargetsDiffer Reason = "not as the other targets"     // the link; what it points at
)

// Refusal says that a host is not as a promotion needs it. Nothing that it
// runs or holds was changed.
type Refusal struct {
	Reason Reason
	Host   string
	// Thing and Items are the facts; Reason says which.
	Thing string
	Items []string
	// More counts the items left out.
	More int
}

func (e *Refusal) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", e.Host, e.Reason)
	if e.Thing != "" {
		fmt.Fprintf(&b, ": %s", e.Thing)
	}
	if len(e.Items) > 0 {
		fmt.Fprintf(&b, " (%s", strings.Join(e.Items, ", "))
		if e.More > 0 {
			fmt.Fprintf(&b, " and %d more", e.More)
		}
		b.WriteString(")")
	}
	return b.String()
}
