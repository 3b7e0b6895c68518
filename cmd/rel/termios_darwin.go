package main

import "golang.org/x/sys/unix"

// What tcgetattr, and tcsetattr with TCSANOW and TCSAFLUSH, ask of the kernel.
const (
	getTermios         = unix.TIOCGETA
	setTermios         = unix.TIOCSETA
	setTermiosAndFlush = unix.TIOCSETAF
)
