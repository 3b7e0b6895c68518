package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// settings are what the SSH configuration says of one host.
type settings struct {
	// alias is what the operator typed.
	alias          string
	host           string
	port           string
	user           string
	hostKeyAlias   string
	identityFiles  []string
	identitiesOnly bool
	// identityAgent is a socket, or "none".
	identityAgent  string
	userKnownHosts []string
	knownHosts     []string
	// strict is StrictHostKeyChecking: yes, accept-new, ask or no.
	strict         string
	hashKnownHosts bool
	connectTimeout time.Duration
	// jumps are the hosts to go through, nearest first.
	jumps []string

	certificateFiles   []string
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
}

// resolveTimeout bounds `ssh -G`: a `Match exec` in the configuration runs a
// command of the operator's.
const resolveTimeout = 20 * time.Second

// resolve asks OpenSSH for the settings of an alias or [user@]host[:port].
func resolve(ctx context.Context, configFile, alias string) (*settings, error) {
	args, err := resolveArgs(configFile, alias)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "ssh", args...)
	cmd.Stderr = &stderr
	// A command of `Match exec` may leave a child that keeps our pipe open.
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, &ConfigError{Host: alias, Reason: "there is no ssh command here to read the ssh configuration with"}
	case err != nil:
		return nil, &ConfigError{Host: alias, Reason: "ssh -G: " + Clean(strings.TrimSpace(stderr.String()))}
	}
	return parseSettings(alias, string(out))
}

func resolveArgs(configFile, alias string) ([]string, error) {
	args := []string{"-G"}
	if configFile != "" {
		args = append(args, "-F", configFile)
	}
	host := alias
	if name, rest, ok := strings.Cut(host, "@"); ok {
		args, host = append(args, "-l", name), rest
	}
	// A colon is a port's only if there is one: more are an IPv6 address.
	if name, port, err := net.SplitHostPort(host); err == nil {
		args, host = append(args, "-p", port), name
	}
	if host == "" || strings.HasPrefix(host, "-") {
		return nil, &ConfigError{Host: alias, Reason: fmt.Sprintf("%q is no host name", host)}
	}
	return append(args, "--", host), nil
}

func parseSettings(alias, text string) (*settings, error) {
	s := &settings{alias: alias, strict: "ask"}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\n"), " ")
		if err := s.set(key, value); err != nil {
			return nil, err
		}
	}
	if s.host == "" || s.port == "" || s.user == "" {
		return nil, &ConfigError{Host: alias, Reason: "ssh -G did not say how to reach it"}
	}
	return s, s.expandAll()
}

func (s *settings) set(key, value string) error {
	switch key {
	case "hostname":
		s.host = value
	case "port":
		s.port = value
	case "user":
		s.user = value
	case "hostkeyalias":
		s.hostKeyAlias = value
	case "identityfile":
		s.identityFiles = append(s.identityFiles, value)
	case "identitiesonly":
		s.identitiesOnly = value == "yes"
	case "identityagent":
		s.identityAgent = value
	case "userknownhostsfile":
		s.userKnownHosts = strings.Fields(value)
	case "globalknownhostsfile":
		s.knownHosts = strings.Fields(value)
	case "stricthostkeychecking":
		s.strict = strictness(value)
	case "hashknownhosts":
		s.hashKnownHosts = value == "yes"
	case "connecttimeout":
		if n, err := strconv.Atoi(value); err == nil && n > 0 {
			// ssh's own is an int; more would overflow, and be a time before now.
			s.connectTimeout = time.Duration(min(n, math.MaxInt32)) * time.Second
		}
	case "proxyjump":
		if value != "none" {
			s.jumps = strings.Split(value, ",")
		}
	case "proxycommand":
		if value != "none" {
			return &ConfigError{Host: s.alias, Option: key, Reason: "rel cannot honour"}
		}
	default:
		s.setKeys(key, value)
	}
	return nil
}

// strictness maps the values that ssh -G prints to those of the manual; off is no.
func strictness(value string) string {
	switch value {
	case "true", "yes":
		return "yes"
	case "false", "no", "off":
		return "no"
	case "accept-new":
		return "accept-new"
	}
	return "ask"
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

// expandAll expands ~ and the %-tokens, which ssh -G leaves in file names.
func (s *settings) expandAll() error {
	for _, list := range [][]string{s.identityFiles, s.certificateFiles, s.userKnownHosts, s.knownHosts, s.revokedHostKeys} {
		for i := range list {
			expanded, err := s.expand(list[i])
			if err != nil {
				return err
			}
			list[i] = expanded
		}
	}
	var err error
	s.identityAgent, err = s.expand(s.identityAgent)
	return err
}

func (s *settings) expand(name string) (string, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		name = filepath.Join(home, rest)
	}
	if !strings.ContainsRune(name, '%') {
		return name, nil
	}
	me, err := user.Current()
	if err != nil {
		return "", err
	}
	local, _ := os.Hostname()
	tokens := map[byte]string{'%': "%", 'd': home, 'h': s.host, 'i': me.Uid, 'l': local,
		'n': s.alias, 'p': s.port, 'r': s.user, 'u': me.Username}
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] != '%' || i+1 == len(name) {
			b.WriteByte(name[i])
			continue
		}
		i++
		value, ok := tokens[name[i]]
		if !ok {
			return "", &ConfigError{Host: s.alias, Option: fmt.Sprintf("%%%c in %s", name[i], name), Reason: "rel cannot expand"}
		}
		b.WriteString(value)
	}
	return b.String(), nil
}
