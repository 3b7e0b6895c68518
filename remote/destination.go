package remote

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"unicode"
)

// destination is a host as it is named to ssh: by the operator, or as a ProxyJump.
type destination struct {
	// name is the whole of it, for people.
	name string
	// user and port are empty where the configuration is to say them.
	user, host, port string
	// through are the hosts to go through, as a ProxyJump has them; they stand in
	// for what the configuration says of the host. Without any it has its say.
	through string
}

// parseDestination reads [user@]host[:port] and ssh://[user@]host[:port]. What
// OpenSSH refuses on its command line (since 9.6: older ones hand it to the shell
// that runs a ProxyCommand) is refused here too.
func parseDestination(name string) (destination, error) {
	to := destination{name: name, host: name}
	if rest, ok := strings.CutPrefix(name, "ssh://"); ok {
		if err := to.parseURI(rest); err != nil {
			return to, &ConfigError{Host: oneLine(name), Reason: err.Error()}
		}
	} else {
		if at := strings.LastIndexByte(name, '@'); at >= 0 {
			to.user, to.host = name[:at], name[at+1:]
		}
		// A colon is a port's only if there is one: more are an IPv6 address.
		if host, port, err := net.SplitHostPort(to.host); err == nil {
			to.host, to.port = host, port
		} else if inner, ok := strings.CutPrefix(to.host, "["); ok {
			to.host = strings.TrimSuffix(inner, "]")
		}
	}
	switch {
	case !validHost(to.host):
		return to, &ConfigError{Host: oneLine(name), Reason: fmt.Sprintf("%q is no host name", to.host)}
	case !validUser(to.user):
		return to, &ConfigError{Host: oneLine(name), Reason: fmt.Sprintf("%q is no user's name", to.user)}
	case strings.Trim(to.port, "0123456789") != "":
		return to, &ConfigError{Host: oneLine(name), Reason: fmt.Sprintf("%q is no port", to.port)}
	}
	return to, nil
}

// parseURI reads what follows the scheme. Connection parameters are passed over, as
// OpenSSH does.
func (to *destination) parseURI(rest string) error {
	u, err := url.Parse("ssh://" + rest)
	if err != nil {
		return fmt.Errorf("%q is no URI of ssh", "ssh://"+rest)
	}
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%q has more than a user, a host and a port", "ssh://"+rest)
	}
	to.user, _, _ = strings.Cut(u.User.Username(), ";")
	to.host, to.port = u.Hostname(), u.Port()
	return nil
}

// validHost and validUser are OpenSSH's rules (ssh_valid_hostname, ssh_valid_ruser).
func validHost(name string) bool {
	return name != "" && name[0] != '-' && !strings.ContainsAny(name, "'`\"$\\;&<>|(){},") &&
		!strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}

func validUser(name string) bool {
	if strings.HasPrefix(name, "-") || strings.HasSuffix(name, `\`) || strings.ContainsAny(name, "'`\";&<>|(){}") {
		return false
	}
	return !strings.Contains(name, " -") && !strings.ContainsFunc(name, unicode.IsControl)
}

// key tells destinations apart.
func (to destination) key() string {
	return strings.Join([]string{to.user, to.host, to.port, to.through}, "\x00")
}

// args are the destination as arguments of ssh, which end its options.
func (to destination) args() []string {
	var args []string
	for _, option := range [][2]string{{"-l", to.user}, {"-p", to.port}, {"-J", to.through}} {
		if option[1] != "" {
			args = append(args, option[:]...)
		}
	}
	return append(args, "--", to.host)
}
