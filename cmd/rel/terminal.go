package main

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// inFront reports whether what the process writes is looked at: after Ctrl-Z and bg a shell
// draws there. Where that cannot be told, it is.
func inFront(fd int) bool {
	group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	return err != nil || group == unix.Getpgrp()
}

// outliveReaders has the process go on when nobody reads what it says: a pipe that is
// closed must not end a promotion in its midst.
func outliveReaders() { signal.Notify(nobodyReads, syscall.SIGPIPE) }

var nobodyReads = make(chan os.Signal, 1)
