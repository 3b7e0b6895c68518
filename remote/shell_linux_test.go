package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
)

// TestShellsOnSSHD: the same with a real sshd, and with one that allows few sessions.
func TestShellsOnSSHD(t *testing.T) {
	needSSHD(t)
	for _, most := range []int{10, 2, 1} {
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			t.Parallel()
			keys := newKeyFolder(t)
			keys.add("host", "ed25519")
			keys.add("id", "ed25519")
			keys.write("authorized_keys", keys.lines("id"))
			fill := strings.NewReplacer("{}", keys.dir).Replace
			port := startSSHD(t, fmt.Sprintf(fill("HostKey {}/host\nAuthorizedKeysFile {}/authorized_keys\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nMaxSessions %d\n"), most))
			keys.write("config", fill("Host box\n    HostName 127.0.0.1\n    User root\n    IdentityFile {}/id\n    IdentityAgent none\n"+
				"    StrictHostKeyChecking accept-new\n    UserKnownHostsFile {}/known_hosts\n    GlobalKnownHostsFile /dev/null\n    Port "+port+"\n"))
			h := dial(t, &Dialer{ConfigFile: filepath.Join(keys.dir, "config")})
			h.Stand(false)
			onSSHD(t, h, keys.dir)
			if rtt, rate, err := h.Measure(t.Context(), false); err != nil || rtt == 0 || rate == 0 {
				t.Errorf("%s, %f, %v", rtt, rate, err)
			}
			if most > 2 && h.seats.most != sessions {
				t.Errorf("it has learned that there are %d seats", h.seats.most)
			}
		})
	}
}

// onSSHD runs scripts of all sorts on a host, one after the other.
func onSSHD(t *testing.T, h *Host, dir string) {
	run := func(code string) string {
		t.Helper()
		out, err := h.Run(t.Context(), Script{Name: "s", Code: code})
		if err != nil {
			t.Error(err)
		}
		return string(out)
	}
	first := run("echo $$")
	for i := range 5 {
		name := filepath.Join(dir, "file")
		if err := h.Upload(t.Context(), name, bytes.Repeat([]byte{byte(i), 0}, 50_000), 0o600); err != nil || len(read(t, name)) != 100_000 {
			t.Errorf("%v, %d bytes", err, len(read(t, name)))
		}
		if again := run("echo $$"); again != first {
			t.Errorf("it was another shell")
		}
	}
	var exit *ExitError
	if _, err := h.Run(t.Context(), Script{Name: "s", Code: "kill -9 $$"}); !errors.As(err, &exit) && err == nil {
		t.Errorf("got %v", err)
	}
	if again := run("echo $$"); again == first || again == "" {
		t.Errorf("it was no other shell: %s", again)
	}
	var out bytes.Buffer
	const size = 20 << 20
	if _, err := h.Run(t.Context(), Script{Name: "s", Code: "wc -c", Stdin: io.LimitReader(endless{}, size), Stdout: &out}); err != nil || strings.TrimSpace(out.String()) != fmt.Sprint(size) {
		t.Errorf("%s of %d bytes arrived: %v", out.String(), size, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := h.Run(ctx, Script{Name: "s", Code: "echo x >&2; sleep 2", Line: func(string) { cancel() }}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	run("true")
}
