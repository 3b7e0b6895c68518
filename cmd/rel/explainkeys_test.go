package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"choir.chat/rel/remote"
)

// The line to run really records the key, whatever the file's end is and its name.
func TestExplainNewHostKey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "known hosts")
	if err := os.WriteFile(file, []byte("# no end"), 0o600); err != nil {
		t.Fatal(err)
	}
	const line = "[10.0.0.2]:2222 ssh-rsa AAAA"
	e := explain(&remote.HostKeyError{Host: "prod", Type: "ssh-rsa", Got: "SHA256:x", File: file, Line: line})
	if out, err := exec.Command("sh", "-c", e.cure).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v %s", e.cure, err, out)
	}
	text, err := os.ReadFile(file)
	if err != nil || string(text) != "# no end\n"+line+"\n" {
		t.Errorf("%s: %q, %v", e.cure, text, err)
	}
	if text := strings.Join(e.detail, "\n"); !strings.Contains(text, "ssh_host_rsa_key.pub") {
		t.Errorf("it says %q", text)
	}
}

func TestExplainHostKey(t *testing.T) {
	key := remote.HostKeyError{Host: "prod", Address: "10.0.0.2:22", Type: "ecdsa-sha2-nistp256", Got: "SHA256:x", File: "/f", Line: "l"}
	changed, revoked, nowhere := key, key, key
	changed.Known = []string{"ssh-rsa SHA256:y (/f:3)"}
	revoked.Revoked = "/f:4"
	nowhere.File = ""
	for _, c := range []struct {
		err  *remote.HostKeyError
		says []string
	}{
		{&changed, []string{"has changed", "SHA256:x", "SHA256:y (/f:3)", "ssh_host_ecdsa_key.pub", "someone stands in between"}},
		{&revoked, []string{"is revoked (/f:4)", "must not be trusted again"}},
		{&nowhere, []string{"is not known", "names no file"}},
	} {
		e := explain(c.err)
		text := e.what + "\n" + strings.Join(e.detail, "\n") + "\n" + e.cure
		for _, want := range c.says {
			if !strings.Contains(text, want) {
				t.Errorf("%q does not say %q", text, want)
			}
		}
		if strings.Contains(text, "printf") {
			t.Errorf("%q has such a key recorded", text)
		}
	}
}
