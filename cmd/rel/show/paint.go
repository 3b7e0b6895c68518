// Package show shows promotions as they go: as a block that a terminal has redrawn in place,
// or a line for everything, from one stream of events.
package show

// Paint colours text, or leaves it, as the flags and the environment ask.
type Paint func(colour, text string) string

// The colours, as SGR parameters.
const (
	Green  = "32"
	Yellow = "33"
	Red    = "31"
	Faint  = "2"
	Bold   = "1"
)
