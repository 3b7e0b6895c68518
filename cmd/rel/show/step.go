package show

import "time"

// Step is a phase that is to come, or was done in an earlier run.
type Step struct {
	// Phase is its name, State the one that it leads to.
	Phase, State string
	// Usual is how long it took of late; zero, if that is not known.
	Usual time.Duration
	Done  bool
}
