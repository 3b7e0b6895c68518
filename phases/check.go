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
	"sync"
	"syscall"
	"time"
)

// Verdict is what a check says of the release. Verdicts are ordered: of
// several checks the worst counts.
type Verdict int

const (
	// Passed: it answered as it should, as often as it should.
	Passed Verdict = iota
	// Inconclusive: it could not be asked; that says nothing of the release.
	Inconclusive
	// Failed: it was asked and did not answer as it should.
	Failed
)

var verdictNames = map[Verdict]string{Passed: "passed", Inconclusive: "inconclusive", Failed: "failed"}

// MarshalText writes the verdict's name.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(verdictNames[v]), nil }

// UnmarshalText reads what MarshalText wrote.
func (v *Verdict) UnmarshalText(b []byte) error {
	for verdict, name := range verdictNames {
		if name == string(b) {
			*v = verdict
			return nil
		}
	}
	return fmt.Errorf("%q is no verdict", b)
}

// Result is how one check ended.
type Result struct {
	Check string `json:"check"`
	// Host is the target the check went through; empty for the operator.
	Host     string  `json:"host,omitempty"`
	Verdict  Verdict `json:"verdict"`
	Attempts int     `json:"attempts"`
	// Last says what the last probe found, where it did not pass.
	Last string `json:"last,omitempty"`
	// Limit names the limit that ended the check.
	Limit string `json:"limit,omitempty"`
}

func (r Result) String() string {
	where := "from the operator"
	if r.Host != "" {
		where = "on " + r.Host
	}
	return fmt.Sprintf("check %q %s %s", r.Check, where, r.ending())
}

// note is the result without the host, for an event that names it.
func (r Result) note() string { return fmt.Sprintf("check %q %s", r.Check, r.ending()) }

func (r Result) ending() string {
	s := fmt.Sprintf("%s after %d attempts", verdictNames[r.Verdict], r.Attempts)
	if r.Verdict == Passed {
		return s
	}
	return fmt.Sprintf("%s (%s); last: %s", s, r.Limit, r.Last)
}

// bodySeen is how much of an answer is read: a body check is for a word in a
// page, not for a download.
const bodySeen = 64 << 10

type dialer func(ctx context.Context, network, addr string) (net.Conn, error)

// check asks all checks side by side and returns the results in plan order.
func (p *Promotion) check(ctx context.Context) []Result {
	type job struct {
		check Check
		host  string
		dial  dialer
	}
	var jobs []job
	for _, c := range p.Plan.Checks {
		if c.From == "operator" {
			jobs = append(jobs, job{check: c, dial: new(net.Dialer).DialContext})
			continue
		}
		for _, target := range p.Targets {
			jobs = append(jobs, job{check: c, host: target.Name(), dial: target.DialContext})
		}
	}
	results := make([]Result, len(jobs))
	var wait sync.WaitGroup
	for i, j := range jobs {
		wait.Go(func() {
			results[i] = p.expand(j.check).until(ctx, j.dial)
			results[i].Host = j.host
		})
	}
	wait.Wait()
	return results
}

// expand fills in what the release is called.
func (p *Promotion) expand(c Check) Check {
	release := p.Release()
	names := strings.NewReplacer("${sha}", release.Commit, "${short_sha}", Short(release.Commit), "${id}", p.ID)
	urls := make([]string, len(c.URLs))
	for i, u := range c.URLs {
		urls[i] = names.Replace(u)
	}
	c.URLs, c.Body, c.Location, c.Header = urls, names.Replace(c.Body), names.Replace(c.Location), names.Replace(c.Header)
	return c
}

// until probes until the check passes or its time is over. A failed probe only
// means another one: services may take their start period, and then have the
// whole deadline to pass in.
func (c Check) until(ctx context.Context, dial dialer) Result {
	r := Result{Check: c.Name, Verdict: Failed}
	client, err := c.client(dial)
	if err != nil {
		r.Verdict, r.Limit, r.Last = Inconclusive, "not asked", err.Error()
		return r
	}
	defer client.CloseIdleConnections()
	deadline := time.Duration(c.StartPeriod) + time.Duration(c.Deadline)
	limit, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	for inRow := 0; ; {
		err := c.probe(limit, client)
		if limit.Err() == nil || err == nil {
			r.Attempts++
			if inRow++; err != nil {
				inRow, r.Last = 0, clip(err.Error())
				r.Verdict = verdictOf(err)
			}
			if inRow >= c.Successes {
				r.Verdict, r.Last = Passed, ""
				return r
			}
		}
		select {
		case <-time.After(time.Duration(c.Interval)):
		case <-limit.Done():
			r.Limit = fmt.Sprintf("deadline of %s", deadline)
			if ctx.Err() != nil {
				r.Verdict, r.Limit = Inconclusive, "interrupted"
			}
			if r.Last == "" {
				r.Last = fmt.Sprintf("only %d of %d successes in a row", inRow, c.Successes)
			}
			return r
		}
	}
}

// verdictOf tells a release that does not answer from a host that cannot be
// reached: a lost connection has the method Lost, and a name that nobody knows,
// or a network without a way there, is not the release's doing.
func verdictOf(err error) Verdict {
	var lost interface{ Lost() bool }
	var name *net.DNSError
	if errors.As(err, &lost) && lost.Lost() || errors.As(err, &name) ||
		errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTUNREACH) {
		return Inconclusive
	}
	return Failed
}

func (c *Check) client(dial dialer) (*http.Client, error) {
	config := &tls.Config{InsecureSkipVerify: c.Insecure} //nolint:gosec // the operator asked for it in so many words
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
	return &http.Client{
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
				return dial(ctx, network, addr)
			},
			TLSClientConfig: config,
			// Each probe is a connection of its own: one that was kept open
			// would go on being answered by the process that is to be replaced.
			DisableKeepAlives: true,
		},
	}, nil
}

// probe asks once; with several URLs, one that passes is enough.
func (c *Check) probe(ctx context.Context, client *http.Client) error {
	var failures []string
	var last error
	for _, url := range c.URLs {
		if last = c.get(ctx, client, url); last == nil {
			return nil
		}
		failures = append(failures, last.Error())
	}
	if len(failures) > 1 && verdictOf(last) == Failed {
		return errors.New(strings.Join(failures, "; "))
	}
	return last
}

func (c *Check) get(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", "rel")
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, bodySeen))
	switch location := response.Header.Get("Location"); {
	case err != nil:
		return fmt.Errorf("%s: read the answer: %w", url, err)
	case response.StatusCode != c.Status:
		return fmt.Errorf("%s answered %d, want %d: %q", url, response.StatusCode, c.Status, firstBytes(body))
	case !strings.Contains(string(body), c.Body):
		return fmt.Errorf("%s answered %d without %q: %q", url, response.StatusCode, c.Body, firstBytes(body))
	case c.Location != "" && location != c.Location:
		return fmt.Errorf("%s leads to %q, want %q", url, location, c.Location)
	case c.Header != "" && !hasHeader(response.Header, c.Header):
		name, value, _ := strings.Cut(c.Header, ":")
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

func firstBytes(body []byte) string { return string(body[:min(len(body), 80)]) }
