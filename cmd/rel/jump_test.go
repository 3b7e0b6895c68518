package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestBehindHosts has targets that this machine does not reach: the first only from the
// build host, the second only from the first. They are reached through those, as ssh
// reaches them; the build host sends to the one by itself, and not to the other.
func TestBehindHosts(t *testing.T) {
	w := newWorld(t, 2)
	w.exec(w.BuildHost(), "ip addr add 192.0.2.10/24 dev host0")
	w.exec("choiros-prod", `ip addr add 192.0.2.11/24 dev host0; ip addr add 198.51.100.11/24 dev host0
		echo ListenAddress 192.0.2.11 >>/etc/ssh/sshd_config; systemctl restart ssh`)
	w.exec("choiros-prod-2", `ip addr add 198.51.100.12/24 dev host0
		echo ListenAddress 198.51.100.12 >>/etc/ssh/sshd_config; systemctl restart ssh`)
	text, err := os.ReadFile(w.SSHConfigPath())
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "ssh_config")
	behind := `Host choiros-prod
    HostName 192.0.2.11
    ProxyJump choiros-grind
Host choiros-prod-2
    HostName 198.51.100.12
    ProxyJump choiros-grind,choiros-prod
`
	if err := os.WriteFile(config, append([]byte(behind), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	w.must(exitUnreachable, "status")                         // without the way
	w.must(exitOK, "plan", "--build", "--ssh-config", config) // what is built slowly would go ahead
	w.must(exitOK, "start", "--ssh-config", config).mentions(t, "choiros-grind could not log in there")
	sent := w.past().Facts.Copy.Targets
	if sent["choiros-prod"].Relayed || !sent["choiros-prod-2"].Relayed {
		t.Errorf("sent %+v", sent)
	}
	w.must(exitOK, "status", "--ssh-config", config)
}
