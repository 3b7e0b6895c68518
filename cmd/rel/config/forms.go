package config

import (
	"regexp"
	"strings"

	"choir.chat/rel/phases"
)

// Form is what a value has to look like.
type Form struct {
	pattern *regexp.Regexp
	// Words say what is wanted, after "is not".
	Words string
}

// Fits reports whether a value is of the form. None that begins with - is: it would be
// a flag to whatever it is handed to.
func (f *Form) Fits(value string) bool {
	return f.pattern.MatchString(value) && !strings.HasPrefix(value, "-")
}

const chars = "letters, digits and "

var (
	// AppName is what an app is called: a part of unit names and of paths on the targets.
	AppName = &Form{regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,30}$`), "a name of small letters, digits and -, 31 at most"}
	// UnitName is as systemd.unit(5) allows, less the backslash of its escapes.
	UnitName = &Form{regexp.MustCompile(`^[A-Za-z0-9@:._-]+$`), "the name of a unit: " + chars + "@ : . _ -"}
	// BranchName is less than git takes, and what people use.
	BranchName = &Form{regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]*$`), "the name of a branch: " + chars + ". _ / -"}
	// HostPath is a path on a host, which goes to scp and into lists with one a line.
	HostPath = &Form{regexp.MustCompile(`^/[A-Za-z0-9._/+@%=-]+$`), "an absolute path of " + chars + ". _ / + @ % = -"}
	// HostName is what ssh takes, less what a shell could take for something else.
	HostName = &Form{regexp.MustCompile(`^([A-Za-z0-9._-]+@)?[A-Za-z0-9._:\[\]%-]+$`), "a host: an alias of your SSH configuration, or user@host:port"}

	artifactName = &Form{phases.ArtifactName, "a name of small letters, digits and _ -, with a letter first"}
)
