//go:build !linux

package lab

import (
	"context"
	"errors"
	"syscall"
)

// errOtherSystem is what everything answers that only Linux can do; Available says so before.
var errOtherSystem = errors.New("a lab needs Linux")

func dieWithParent() *syscall.SysProcAttr { return nil }

func (l *Lab) killOne(process) error { return errOtherSystem }

func (l *Lab) mountHost(context.Context, member) error { return errOtherSystem }

func unmount(string) error { return errOtherSystem }

func within(int, func() error) error { return errOtherSystem }
