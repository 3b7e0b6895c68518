package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// hostKeys checks the key that a host shows against the operator's records, as
// OpenSSH's check_host_key does (sshconnect.c).
type hostKeys struct {
	dialer   *Dialer
	settings *settings
	// names are what the host is recorded by: with its port, and then without.
	names []string
	// recorded are the records about each of the names.
	recorded []records
	revoked  records
	// algorithms are those that the host may choose from, preferred ones first.
	algorithms []string
	// verified is the host's key, without its certificate.
	verified ssh.PublicKey
}

func (d *Dialer) hostKeys(ctx context.Context, s *settings) (*hostKeys, error) {
	if s.strict == "no" {
		d.tell("%s: StrictHostKeyChecking no is taken as accept-new: a new key is recorded, a changed one stops everything", s.alias)
	}
	k := &hostKeys{dialer: d, settings: s, names: []string{strings.ToLower(knownhosts.Normalize(s.keyAddress()))}}
	if s.hostKeyAlias == "" && s.port != "22" {
		k.names = append(k.names, strings.ToLower(s.host))
	}
	all := readRecords(slices.Concat(s.userKnownHosts, s.knownHosts), d.tell)
	for _, name := range k.names {
		k.recorded = append(k.recorded, all.of(name))
	}
	var err error
	if k.revoked, err = readRevoked(s); err != nil {
		return nil, err
	}
	k.algorithms, err = k.order(ctx)
	return k, err
}

// order has the algorithms that the configuration allows, first those of the keys on
// record: a host that has such a key then shows it. The others stay behind them, so
// that a host without one is known for changed, with both fingerprints.
func (k *hostKeys) order(ctx context.Context) ([]string, error) {
	ordering, err := k.commanded(ctx, "ORDER", nil)
	if err != nil {
		return nil, err
	}
	list := append(ordering, k.recorded[0]...)
	vouched := len(list.marked(markAuthority)) > 0
	types := map[string]bool{}
	for _, r := range list.marked("") {
		types[r.key.Type()] = true
	}
	allowed, supported := k.settings.hostKeyAlgorithms, ssh.SupportedAlgorithms().HostKeys
	if allowed == nil {
		allowed = supported
	}
	supported = append(supported, ssh.InsecureAlgorithms().HostKeys...)
	var first, rest []string
	for _, name := range allowed {
		kind, certified := keyType(name)
		switch {
		case !slices.Contains(supported, name):
		case types[kind] || certified && vouched:
			first = append(first, name)
		default:
			rest = append(rest, name)
		}
	}
	if len(first)+len(rest) == 0 {
		return nil, &ConfigError{Host: k.settings.alias, Option: "HostKeyAlgorithms", Reason: "names none that rel knows"}
	}
	return append(first, rest...), nil
}

// keyType is the type of key that an algorithm signs with, and whether it does so
// under a certificate.
func keyType(algorithm string) (name string, certified bool) {
	name, certified = strings.CutSuffix(algorithm, "-cert-v01@openssh.com")
	if certified && strings.HasPrefix(name, "sk-") {
		name += "@openssh.com"
	}
	if strings.HasPrefix(name, "rsa-sha2-") {
		name = ssh.KeyAlgoRSA
	}
	return name, certified
}

// takesPlain reports whether the configuration allows a host key of the type without
// a certificate.
func (s *settings) takesPlain(typ string) bool {
	return s.hostKeyAlgorithms == nil || slices.ContainsFunc(s.hostKeyAlgorithms, func(algorithm string) bool {
		name, certified := keyType(algorithm)
		return name == typ && !certified
	})
}

// check refuses a key that is not the host's. It is asked again whenever the
// connection's keys are exchanged anew.
func (k *hostKeys) check(ctx context.Context, key ssh.PublicKey) error {
	if k.verified != nil && same(k.verified, plain(key)) {
		return nil
	}
	if err := k.settings.longEnough(plain(key)); err != nil {
		return fmt.Errorf("%s: its host key: %w", k.settings.alias, err)
	}
	commanded, err := k.commanded(ctx, "HOSTNAME", key)
	if err != nil {
		return err
	}
	recorded := slices.Clone(k.recorded)
	recorded[0] = slices.Concat(recorded[0], commanded)
	refusal := k.refusal(key)
	if r := slices.Concat(append(recorded, k.revoked)...).revocation(key); r != nil {
		refusal.Revoked = r.where
		return refusal
	}
	verdict, reason := k.judge(recorded, key)
	if reason != "" && !k.settings.takesPlain(refusal.Type) {
		return &ConfigError{Host: k.settings.alias, Option: "HostKeyAlgorithms",
			Reason: "leaves out the plain key of the host, and its certificate does not count: " + reason}
	}
	refusal.Certificate = reason
	switch verdict {
	case changed:
		for _, r := range recorded[0].marked("") {
			refusal.Known = append(refusal.Known, r.String())
		}
		return refusal
	case unknown:
		if err := k.accept(ctx, refusal, plain(key)); err != nil {
			return err
		}
	}
	k.verified = plain(key)
	return nil
}

// judge weighs what a host shows. A certificate that nobody on record vouches for
// counts as the plain key in it; reason then says why.
func (k *hostKeys) judge(recorded []records, key ssh.PublicKey) (_ verdict, reason string) {
	if cert, ok := key.(*ssh.Certificate); ok {
		err := k.vouched(recorded, cert)
		if err == nil {
			return known, ""
		}
		reason = oneLine(strings.TrimPrefix(err.Error(), "ssh: "))
	}
	for i, list := range recorded {
		v := list.weigh(plain(key))
		// Another key under the name without the port is that of another sshd there.
		if v == known || v == changed && i == 0 {
			return v, reason
		}
	}
	return unknown, reason
}

// vouched returns nil if an authority on record vouches for the host's certificate.
func (k *hostKeys) vouched(recorded []records, cert *ssh.Certificate) error {
	if !slices.ContainsFunc(recorded, func(list records) bool { return list.find(markAuthority, cert.SignatureKey) != nil }) {
		return fmt.Errorf("the authority that signed it, %s, is not on record", ssh.FingerprintSHA256(cert.SignatureKey))
	}
	name := k.settings.host
	if k.settings.hostKeyAlias != "" {
		name = k.settings.hostKeyAlias
	}
	// Since OpenSSH 10 a principal may be a pattern, and there must be one.
	i := slices.IndexFunc(cert.ValidPrincipals, func(principal string) bool { return matches(principal, name) })
	switch {
	case cert.CertType != ssh.HostCert:
		return errors.New("it is no certificate of a host")
	case i < 0:
		return fmt.Errorf("it is not for %s", name)
	case k.settings.caSignatureAlgorithms != nil && !slices.Contains(k.settings.caSignatureAlgorithms, cert.Signature.Format):
		return fmt.Errorf("it is signed with %s, which CASignatureAlgorithms leaves out", cert.Signature.Format)
	}
	return new(ssh.CertChecker).CheckCert(cert.ValidPrincipals[i], cert)
}

func (k *hostKeys) refusal(key ssh.PublicKey) *HostKeyError {
	e := &HostKeyError{
		Host: k.settings.alias, Address: k.settings.address(),
		Type: plain(key).Type(), Got: ssh.FingerprintSHA256(plain(key)), File: k.file(),
	}
	if e.File != "" {
		e.Line = k.line(plain(key))
	}
	return e
}

// accept decides on the key of a host that is not on record, as
// StrictHostKeyChecking has it, and records it.
func (k *hostKeys) accept(ctx context.Context, refusal *HostKeyError, key ssh.PublicKey) error {
	k.dialer.accepting.Lock()
	defer k.dialer.accepting.Unlock()
	name := k.names[0]
	// What was accepted holds for the whole run, also if it could not be recorded.
	switch accepted := k.dialer.accepted[name]; {
	case accepted == nil:
	case same(accepted, key):
		return nil
	default:
		refusal.Known = []string{fmt.Sprintf("%s %s (accepted a moment ago)", accepted.Type(), ssh.FingerprintSHA256(accepted))}
		return refusal
	}
	if refusal.File == "" || !k.agreed(ctx, refusal) {
		return refusal
	}
	if k.dialer.accepted == nil {
		k.dialer.accepted = map[string]ssh.PublicKey{}
	}
	k.dialer.accepted[name] = key
	if k.dialer.ReadOnly {
		return nil
	}
	if err := appendLine(refusal.File, refusal.Line); err != nil {
		k.dialer.tell("%s: its new host key, %s %s, could not be recorded: %v", refusal.Host, refusal.Type, refusal.Got, err)
		return nil
	}
	k.dialer.tell("%s: its new host key, %s %s, is recorded in %s", refusal.Host, refusal.Type, refusal.Got, refusal.File)
	return nil
}

func (k *hostKeys) agreed(ctx context.Context, e *HostKeyError) bool {
	switch {
	case k.settings.strict == "accept-new" || k.settings.strict == "no":
		return true
	case k.settings.strict == "yes" || !k.dialer.asks(k.settings) || k.dialer.ReadOnly:
		return false
	}
	question := fmt.Sprintf("The host key of %s (%s) is %s %s and not known. Go on (yes/no/fingerprint)? ", e.Host, e.Address, e.Type, e.Got)
	for range keyQuestions {
		answer, err := k.dialer.Ask(ctx, question, false)
		answer = strings.TrimSpace(answer)
		switch {
		case err != nil || answer == "no":
			return false
		case answer == "yes" || answer == e.Got:
			return true
		}
		// As ssh does: what was meant for another question is no refusal.
		question = fmt.Sprintf("%s: yes, no or the fingerprint? ", e.Host)
	}
	return false
}

// keyQuestions is how often a new host key is asked about, where what is answered is neither
// yes nor no, nor its fingerprint.
const keyQuestions = 3

// keyText is a key as authorized_keys and known_hosts have it: its type, and the key in
// base64.
func keyText(key ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}
