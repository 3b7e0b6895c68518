package lab

import (
	"context"
	"fmt"
	"strconv"
)

// Exec runs a POSIX shell script on a host, as root, and returns what it said on stdout. It goes in by the host's
// namespaces, so that it works with sshd stopped. Its error has the end of what the script said on stderr. A script that
// ctx cuts off may go on by itself on the host.
func (l *Lab) Exec(ctx context.Context, host, script string) (stdout string, err error) {
	h, err := l.host(host)
	if err != nil {
		return "", err
	}
	pid, err := l.initOf(h)
	if err != nil {
		return "", err
	}
	out, err := run(ctx, nil, "nsenter", "--target", strconv.Itoa(pid), "--all",
		"/usr/bin/env", "-i", "HOME=/root", "USER=root", "LANG=C.UTF-8", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"/bin/sh", "-c", script)
	if err != nil {
		return out, fmt.Errorf("%s: %w", host, err)
	}
	return out, nil
}
