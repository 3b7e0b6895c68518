package main

import (
	"fmt"
	"testing"

	"choir.chat/rel/remote/lab"
)

// TestFewSessions: a build host that opens one session at a time, or two, sends to the
// targets by itself all the same.
func TestFewSessions(t *testing.T) {
	w := newWorld(t, 2)
	w.rewrite(`[build]`, "[copy]\nvia = \"direct\"\n\n[build]")
	for n := range 2 {
		w.exec(w.BuildHost(), fmt.Sprintf(`sed -i '/^MaxSessions/d' /etc/ssh/sshd_config
			echo MaxSessions %d >>/etc/ssh/sshd_config; systemctl restart ssh`, n+1))
		w.must(exitOK, "plan", "--build") // what is built slowly would go ahead
		w.must(exitOK, "start")
		for name, sent := range w.past().Facts.Copy.Targets {
			if sent.Relayed || sent.Bytes == 0 {
				t.Errorf("%d sessions: %s was sent %+v", n+1, name, sent)
			}
		}
		w.bump(lab.Bump{})
	}
}
