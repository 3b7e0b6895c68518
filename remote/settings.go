package remote

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/crypto/ssh"
)

// settings are what the SSH configuration says of one host. Once they are read,
// nobody changes them: connections share them.
type settings struct {
	// alias is what the operator typed, name the host in it.
	alias, name    string
	host           string
	port           string
	user           string
	hostKeyAlias   string
	identityFiles  []string
	identitiesOnly bool
	// certificateFiles are those that a CertificateFile names.
	certificateFiles []string
	// identityAgent is a socket, or "none"; empty or SSH_AUTH_SOCK for the
	// environment's.
	identityAgent  string
	userKnownHosts []string
	knownHosts     []string
	// strict is StrictHostKeyChecking: yes, accept-new, ask or no.
	strict         string
	hashKnownHosts bool
	connectTimeout time.Duration
	// aliveInterval is 0 if nothing is asked of a host that is silent.
	aliveInterval time.Duration
	aliveCountMax int
	// jumps are the hosts to go through, nearest first.
	jumps []string
	// proxyCommand is the shell's command to go through, its tokens put in.
	proxyCommand string
	fdpass       bool
	// network is tcp, tcp4 or tcp6.
	network                    string
	bindAddress, bindInterface string
	attempts                   int
	tcpKeepAlive               bool
	// crypto holds the algorithms of the configuration, in its order, also those
	// that x/crypto has not; empty lists for x/crypto's own.
	crypto             ssh.Config
	knownHostsCommand  string
	revokedHostKeys    []string
	pkcs11Provider     string
	publicKeysDisabled bool
	// batchMode has nothing asked of the operator.
	batchMode bool
	// The algorithms that are allowed, preferred ones first; empty: all.
	hostKeyAlgorithms, pubkeyAcceptedAlgorithms, caSignatureAlgorithms []string
	// requiredRSASize is the least length of an RSA key, in bits.
	requiredRSASize int
	// hash is what %C stands for; empty if only ssh could say it.
	hash string
}

func newSettings(to destination) *settings {
	return &settings{alias: to.name, name: to.host, strict: "ask", network: "tcp", attempts: 1, tcpKeepAlive: true, aliveCountMax: 3}
}

// parseSettings reads what ssh -G printed.
func parseSettings(to destination, text string) (*settings, error) {
	s := newSettings(to)
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\n"), " ")
		if key == "controlpath" { // see resolveArgs
			s.hash = value
		} else if err := s.set(key, value); err != nil {
			return nil, err
		}
	}
	return s, s.finish()
}

// set takes a line of ssh -G. What it means is in the table of keywords; one that
// is not there is younger than rel.
func (s *settings) set(key, value string) error {
	if k := keywords[strings.ToLower(key)]; k.take != nil {
		if refusal := k.take(s, value); refusal != "" {
			return &ConfigError{Host: s.alias, Option: oneLine(key + " " + value), Reason: refusal}
		}
	}
	return nil
}

// finish expands what ssh -G leaves as it stands in the file, and refuses what does
// not go together.
func (s *settings) finish() error {
	if s.host == "" || s.port == "" || s.user == "" {
		return &ConfigError{Host: s.alias, Reason: "its ssh configuration does not say how to reach it"}
	}
	// It would be an option of a ProxyCommand's program, or act on a terminal.
	if s.host[0] == '-' || strings.ContainsFunc(s.host+s.port+s.user, unicode.IsControl) {
		return &ConfigError{Host: s.alias, Option: fmt.Sprintf("%q", s.user+"@"+s.host), Reason: "is no name of a user at a host"}
	}
	var err error
	for _, list := range [][]string{s.identityFiles, s.certificateFiles} {
		for i := range list {
			if list[i], err = s.expandFile(list[i]); err != nil {
				return err
			}
		}
	}
	for i := range s.jumps {
		// They are part of the command that OpenSSH makes of them.
		if s.jumps[i], err = s.expand(s.jumps[i], commandTokens, false); err != nil {
			return err
		}
		if _, err := parseDestination(s.jumps[i]); err != nil {
			return &ConfigError{Host: s.alias, Option: "proxyjump " + oneLine(s.jumps[i]), Reason: "names no host"}
		}
	}
	if variable, ok := strings.CutPrefix(s.identityAgent, "$"); ok {
		// Without the variable there is no agent, not even SSH_AUTH_SOCK's.
		if s.identityAgent = os.Getenv(variable); s.identityAgent == "" {
			s.identityAgent = "none"
		}
	}
	if s.proxyCommand == "" {
		return nil
	}
	if s.fdpass {
		return &ConfigError{Host: s.alias, Option: "proxyusefdpass yes", Reason: "rel cannot honour: its ProxyCommand has to pass on what is sent"}
	}
	s.proxyCommand, err = s.expand(s.proxyCommand, commandTokens, false)
	return err
}

// strictness maps the values that ssh -G prints to those of the manual; off is no.
func strictness(value string) string {
	switch strings.ToLower(value) {
	case "true", "yes":
		return "yes"
	case "false", "no", "off":
		return "no"
	case "accept-new":
		return "accept-new"
	}
	return "ask"
}

// files splits a list of names, which ssh -G prints without the quotes that a name
// with spaces had. A word that does not begin a path is the rest of the one before,
// if there is such a file; else nobody can tell what was meant.
func (s *settings) files(value string) (list []string, refusal string) {
	if strings.EqualFold(value, "none") {
		return nil, ""
	}
	for i, word := range strings.Split(value, " ") {
		if i == 0 || strings.HasPrefix(word, "/") || strings.HasPrefix(word, "~") {
			list = append(list, word)
		} else {
			list[len(list)-1] += " " + word
		}
	}
	for i, name := range list {
		name, err := s.tilde(name)
		if err != nil {
			return nil, "names nobody's home"
		}
		if list[i] = name; !strings.Contains(name, " ") {
			continue
		}
		if _, err := os.Stat(name); err != nil || name[0] != '/' {
			return nil, "is a list that cannot be told from a name with spaces: give absolute names, without spaces"
		}
	}
	return list, ""
}

// address is where to connect.
func (s *settings) address() string { return net.JoinHostPort(s.host, s.port) }

// keyAddress is the name that the host's key is recorded under.
func (s *settings) keyAddress() string {
	if s.hostKeyAlias != "" {
		return net.JoinHostPort(s.hostKeyAlias, "22")
	}
	return s.address()
}

// patience is how long a host may take to be connected to, and then to say its
// first word, as OpenSSH has it.
func (s *settings) patience() time.Duration {
	if s.connectTimeout == 0 {
		return dialTimeout
	}
	return s.connectTimeout
}

// pace is how a connection that has died is noticed: it is asked for a sign of life
// each time that every has passed, and given up after misses without one.
type pace struct {
	every  time.Duration
	misses int
}

// pace is rel's own, unless the configuration's is sooner.
func (s *settings) pace() pace {
	own := pace{every: keepaliveInterval, misses: keepaliveMisses}
	theirs := pace{every: s.aliveInterval, misses: s.aliveCountMax}
	if theirs.every > 0 && theirs.every*time.Duration(theirs.misses+1) < own.every*time.Duration(own.misses+1) {
		return theirs
	}
	return own
}

// addName appends what is not there yet, and is a name.
func addName(list []string, name string) []string {
	if strings.EqualFold(name, "none") || slices.Contains(list, name) {
		return list
	}
	return append(list, name)
}
