package show

import (
	"choir.chat/rel/journal"
	"choir.chat/rel/phases"
)

// Printer shows a promotion as it goes. Its methods may be called by several
// goroutines at once.
type Printer interface {
	// Event shows a recorded event.
	Event(journal.Event)
	// Line shows a line that a host printed.
	Line(host, text string)
	// Tick shows how far something is on a host.
	Tick(host string, tick phases.Tick)
	// Say tells the operator something that is not recorded.
	Say(text string)
	// Close leaves the terminal as it should be; nothing is shown after.
	Close()
}
