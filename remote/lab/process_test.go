package lab

import (
	"strings"
	"testing"
)

func TestHostSupervised(t *testing.T) {
	l := &Lab{Dir: "/var/lib/rel-lab"}
	for command, want := range map[string]string{
		"systemd-nspawn -b -D /var/lib/rel-lab/hosts/choiros-prod/root":                         "choiros-prod",
		"/bin/sh -c x enter /g -- systemd-nspawn -b -D /var/lib/rel-lab/hosts/choiros-g/root u": "choiros-g",
		"systemd-nspawn -b -D /var/lib/rel-lab-2/hosts/choiros-prod/root":                       "",
		"systemd-nspawn -b -D /var/lib/machines/x":                                              "",
		"tail -D /var/lib/rel-lab/hosts/choiros-prod/root":                                      "",
		"systemd-nspawn -b -D": "",
	} {
		if got, ok := l.hostSupervised(strings.Fields(command)); got != want || ok != (want != "") {
			t.Errorf("%s: got %q, %v, want %q", command, got, ok, want)
		}
	}
}
