package lab

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"time"
)

// caddyRoot is where Caddy, as Debian runs it, keeps the root certificate that it makes when it first starts.
const caddyRoot = "var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt"

// sites are what the targets' Caddyfile serves.
var sites = []string{"os.choir.chat", "choir.chat"}

// rootCertificate reads a target's own root certificate from its disk.
func (l *Lab) rootCertificate(h member) ([]byte, error) {
	root, err := os.OpenRoot(l.rootDir(h))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.ReadFile(caddyRoot)
}

// caddyServes is nil if the target shows a certificate of its own root for every site. Caddy makes them one by one, a
// moment after it listens.
func (l *Lab) caddyServes(ctx context.Context, h member) error {
	pem, err := l.rootCertificate(h)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return errors.New("caddy's root certificate is not whole yet")
	}
	for _, site := range sites {
		d := tls.Dialer{
			NetDialer: &net.Dialer{Timeout: 2 * time.Second},
			Config:    &tls.Config{RootCAs: pool, ServerName: site},
		}
		c, err := d.DialContext(ctx, "tcp", net.JoinHostPort(h.Addr, "443"))
		if err != nil {
			return err
		}
		c.Close()
	}
	return nil
}

// collectCA writes the root certificates of all targets into one file.
func (l *Lab) collectCA() error {
	var all []byte
	for _, h := range l.state.Hosts {
		if h.Build {
			continue
		}
		pem, err := l.rootCertificate(h)
		if err != nil {
			return err
		}
		all = append(all, pem...)
	}
	return writeByRename(l.CAPath(), all, 0o600)
}
