package phases

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// bodySeen is how much of an answer is read: a body check is for a word in a
// page, not for a download.
const bodySeen = 64 << 10

type dialer func(ctx context.Context, network, addr string) (net.Conn, error)

// prober sends the probes of one check, one after the other.
type prober struct {
	Check
	client *http.Client
	// connected says that the current probe has reached its server.
	connected atomic.Bool
}

// unreachedError says that a server could not be reached in time. It need not
// be the release that is to blame: names and packets get lost on the way.
type unreachedError struct{ error }

func (e *unreachedError) Unwrap() error { return e.error }

// verdictOf tells a release that does not answer from one that could not be
// asked: a lost connection has the method Lost, and a name that nobody knows, or
// a network without a way there, is not the release's doing.
func verdictOf(err error) Verdict {
	var name *net.DNSError
	var unreached *unreachedError
	if isLost(err) || errors.As(err, &name) || errors.As(err, &unreached) ||
		errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTUNREACH) {
		return Inconclusive
	}
	return Failed
}

// curves are those of a check. One that keeps what is said secret for as long as to outlive
// quantum computers (X25519MLKEM768, Go's first choice) takes 2.2 kB a connection; a check
// says nothing that has to be kept so long.
var curves = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}

func newProber(c Check, dial dialer) (*prober, error) {
	config := &tls.Config{
		InsecureSkipVerify: c.Insecure, //nolint:gosec // the operator asked for it in so many words
		CurvePreferences:   curves,
		// The certificate is shown, and weighed, at the first probe that gets so far; the
		// next ones go on from there, if it is the same server that answers.
		ClientSessionCache: tls.NewLRUClientSessionCache(len(c.URLs)),
	}
	if c.CA != "" {
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool()
		}
		if !roots.AppendCertsFromPEM([]byte(c.CA)) {
			return nil, errors.New("its ca holds no certificate")
		}
		config.RootCAs = roots
	}
	p := &prober{Check: c}
	p.client = &http.Client{
		Timeout: time.Duration(c.Timeout),
		// Whoever checks a redirect says so with status and location.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				if c.Resolve != "" {
					_, port, err := net.SplitHostPort(addr)
					if err != nil {
						return nil, err
					}
					addr = net.JoinHostPort(c.Resolve, port)
				}
				conn, err := dial(ctx, network, addr)
				p.connected.Store(err == nil)
				return conn, err
			},
			TLSClientConfig: config,
			// Each probe is a connection of its own: one that was kept open
			// would go on being answered by the process that is to be replaced.
			DisableKeepAlives: true,
		},
	}
	return p, nil
}

// probe asks once; with several URLs, one that passes is enough. As long as one
// of them could not be asked it might have passed, and so nothing is decided.
func (p *prober) probe(ctx context.Context) error {
	var failures []string
	var undecided error
	for _, url := range p.URLs {
		err := p.get(ctx, url)
		if err == nil {
			return nil
		}
		if verdictOf(err) == Inconclusive {
			undecided = err
		}
		failures = append(failures, err.Error())
	}
	all := errors.New(strings.Join(failures, "; "))
	if undecided != nil {
		return &unreachedError{all}
	}
	return all
}

func (p *prober) get(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", "rel")
	p.connected.Store(false)
	response, err := p.client.Do(request)
	var timeout net.Error
	late := errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil && !isLost(err)
	switch {
	case late && p.connected.Load():
		return fmt.Errorf("%s did not answer within %s", url, time.Duration(p.Timeout))
	case late:
		return &unreachedError{fmt.Errorf("%s was not reached within %s", url, time.Duration(p.Timeout))}
	case errors.As(err, &timeout) && timeout.Timeout() && !p.connected.Load():
		return &unreachedError{err}
	case err != nil:
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, bodySeen))
	if err != nil {
		return fmt.Errorf("%s: read the answer: %w", url, err)
	}
	return p.judge(url, response, body)
}

// judge says in what way an answer is not the wanted one.
func (p *prober) judge(url string, response *http.Response, body []byte) error {
	switch location := response.Header.Get("Location"); {
	case response.StatusCode != p.Status:
		return fmt.Errorf("%s answered %d, want %d: %q", url, response.StatusCode, p.Status, firstBytes(body))
	case !strings.Contains(string(body), p.Body):
		return fmt.Errorf("%s answered %d without %q: %q", url, response.StatusCode, p.Body, firstBytes(body))
	case p.Location != "" && location != p.Location:
		return fmt.Errorf("%s leads to %q, want %q", url, location, p.Location)
	case p.Header != "" && !hasHeader(response.Header, p.Header):
		name, value, _ := strings.Cut(p.Header, ":")
		return fmt.Errorf("%s answered %d with %s %q, want %q", url, response.StatusCode, name,
			response.Header.Values(name), strings.TrimSpace(value))
	}
	return nil
}

// hasHeader looks for a header written as "Name: value".
func hasHeader(headers http.Header, header string) bool {
	name, value, _ := strings.Cut(header, ":")
	return slices.Contains(headers.Values(name), strings.TrimSpace(value))
}

// firstBytes are what an answer begins with, in a line.
func firstBytes(body []byte) string {
	return strings.Join(strings.Fields(string(body[:min(len(body), 80)])), " ")
}
