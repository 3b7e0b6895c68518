package main

import "golang.org/x/sys/unix"

// What tcgetattr and tcsetattr with TCSAFLUSH ask of the kernel.
const (
	getTermios         = unix.TIOCGETA
	setTermiosAndFlush = unix.TIOCSETAF
)
