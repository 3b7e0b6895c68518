package remote

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// hostKeys checks the key that a host shows against the operator's records.
type hostKeys struct {
	dialer   *Dialer
	settings *settings
	db       *knownhosts.HostKeyDB
}

// recording keeps two connections that are opened side by side from writing
// into one known_hosts at once.
var recording sync.Mutex

func (d *Dialer) hostKeys(s *settings) (*hostKeys, error) {
	var files []string
	for _, name := range append(append([]string{}, s.userKnownHosts...), s.knownHosts...) {
		if _, err := os.Stat(name); err == nil {
			files = append(files, name)
		}
	}
	db, err := knownhosts.NewDB(files...)
	if err != nil {
		return nil, &ConfigError{Host: s.alias, Reason: "read its known hosts: " + err.Error()}
	}
	return &hostKeys{dialer: d, settings: s, db: db}, nil
}

// algorithms narrows the host key algorithms to those of the keys on record.
// Without it the host may show a key of another type, and look changed.
func (k *hostKeys) algorithms() []string { return k.db.HostKeyAlgorithms(k.settings.keyAddress()) }

func (k *hostKeys) check(_ string, remote net.Addr, key ssh.PublicKey) error {
	address := k.settings.keyAddress()
	err := k.db.HostKeyCallback()(address, remote, key)
	if err == nil {
		return nil
	}
	refusal := &HostKeyError{
		Host: k.settings.alias, Address: k.settings.address(), Got: ssh.FingerprintSHA256(key),
		File: k.file(), Line: k.line(address, key),
	}
	var known *xknownhosts.KeyError
	switch {
	case errors.As(err, &known) && len(known.Want) > 0:
		for _, want := range known.Want {
			refusal.Known = append(refusal.Known,
				fmt.Sprintf("%s (%s:%d)", ssh.FingerprintSHA256(want.Key), want.Filename, want.Line))
		}
		return refusal
	case !knownhosts.IsHostUnknown(err):
		return fmt.Errorf("%s: host key: %w", k.settings.alias, err)
	}
	if !k.accepts(refusal) {
		return refusal
	}
	return k.record(refusal.Line)
}

// accepts decides on the key of a host that is not on record, as OpenSSH's
// StrictHostKeyChecking does.
func (k *hostKeys) accepts(e *HostKeyError) bool {
	switch {
	case k.settings.strict == "accept-new":
		return true
	case k.settings.strict == "yes" || k.dialer.Ask == nil:
		return false
	}
	answer, err := k.dialer.Ask(fmt.Sprintf("The host key of %s (%s) is %s and not known. Go on (yes/no)? ",
		e.Host, e.Address, e.Got), false)
	return err == nil && strings.TrimSpace(answer) == "yes"
}

// file is where OpenSSH records a new key: the first of the user's files.
func (k *hostKeys) file() string {
	if len(k.settings.userKnownHosts) == 0 {
		return os.DevNull
	}
	return k.settings.userKnownHosts[0]
}

func (k *hostKeys) line(address string, key ssh.PublicKey) string {
	name := knownhosts.Normalize(address)
	if k.settings.hashKnownHosts {
		name = xknownhosts.HashHostname(name)
	}
	return knownhosts.Line([]string{name}, key)
}

func (k *hostKeys) record(line string) error {
	recording.Lock()
	defer recording.Unlock()
	name := k.file()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("record the host key of %s: %w", k.settings.alias, err)
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("record the host key of %s: %w", k.settings.alias, err)
	}
	_, err = f.WriteString(line + "\n")
	return errors.Join(err, f.Close())
}
