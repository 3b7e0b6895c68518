package remote

import (
	"io"
	"os"
	"path/filepath"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// file is where a new key is recorded: the first of the user's files. It is empty
// where there is none, and then no new key can be accepted.
func (k *hostKeys) file() string {
	if len(k.settings.userKnownHosts) == 0 || k.settings.userKnownHosts[0] == "none" {
		return ""
	}
	return k.settings.userKnownHosts[0]
}

// line is the record of a new key.
func (k *hostKeys) line(key ssh.PublicKey) string {
	name := k.names[0]
	if k.settings.hashKnownHosts {
		name = knownhosts.HashHostname(name)
	}
	return knownhosts.Line([]string{name}, key)
}

// appendLine adds a line to a file that may lack the end of its last one.
func appendLine(name, line string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	last := make([]byte, 1)
	if end, err := f.Seek(-1, io.SeekEnd); err == nil {
		if _, err := f.ReadAt(last, end); err != nil {
			return err
		}
		if last[0] != '\n' {
			line = "\n" + line
		}
	}
	if _, err := io.WriteString(f, line+"\n"); err != nil {
		return err
	}
	return f.Close()
}
