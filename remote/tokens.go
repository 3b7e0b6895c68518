package remote

import (
	"fmt"
	"os"
	"os/user"
	"strings"
)

// The tokens that OpenSSH takes (ssh_config(5), TOKENS) in names of files and
// sockets, and in a ProxyCommand. %% goes without saying.
const (
	fileTokens    = "CdhijkLlnpru"
	commandTokens = "hknpr"
)

// tokens are what the %-tokens stand for. ~ and %d are the home in the passwd
// database, whatever HOME says, as they are to OpenSSH.
func (s *settings) tokens() (map[byte]string, error) {
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	local, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	short, _, _ := strings.Cut(local, ".")
	key := s.hostKeyAlias
	if key == "" {
		key = s.name
	}
	hop, _ := s.hop()
	tokens := map[byte]string{'%': "%", 'd': me.HomeDir, 'h': s.host, 'i': me.Uid, 'j': hop.host, 'k': key,
		'L': short, 'l': local, 'n': s.name, 'p': s.port, 'r': s.user, 'u': me.Username}
	if s.hash != "" {
		tokens['C'] = s.hash
	}
	return tokens, nil
}

// expand puts in what the accepted %-tokens of a text stand for and, if env is set,
// the variables of the form ${NAME}. What OpenSSH gives up at is an error here too.
func (s *settings) expand(text, accepted string, env bool) (string, error) {
	tokens, err := s.tokens()
	if err != nil {
		return "", err
	}
	where := text
	if accepted == commandTokens {
		where = program(text)
	}
	refuse := func(what, why string) error {
		return &ConfigError{Host: s.alias, Option: oneLine(what + " in " + where), Reason: why}
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case env && strings.HasPrefix(text[i:], "${"):
			name, _, ok := strings.Cut(text[i+2:], "}")
			value, set := os.LookupEnv(name)
			if !ok || !set {
				return "", refuse("${"+name, "no variable of the environment stands behind")
			}
			b.WriteString(value)
			i += len("${}") + len(name) - 1
		case text[i] == '%' && i+1 == len(text):
			return "", refuse("%", "is half of a token")
		case text[i] == '%':
			i++
			value, known := tokens[text[i]]
			if !known || text[i] != '%' && strings.IndexByte(accepted, text[i]) < 0 {
				return "", refuse(fmt.Sprintf("%%%c", text[i]), "rel cannot expand")
			}
			b.WriteString(value)
		default:
			b.WriteByte(text[i])
		}
	}
	return b.String(), nil
}

// expandFile is expand for the name of a file, which may begin with ~ or ~user.
func (s *settings) expandFile(name string) (string, error) {
	name, err := s.tilde(name)
	if err != nil {
		return "", err
	}
	return s.expand(name, fileTokens, true)
}

func (s *settings) tilde(name string) (string, error) {
	rest, ok := strings.CutPrefix(name, "~")
	if !ok {
		return name, nil
	}
	who, rest, _ := strings.Cut(rest, "/")
	owner, err := user.Current()
	if who != "" {
		owner, err = user.Lookup(who)
	}
	if err != nil {
		return "", &ConfigError{Host: s.alias, Option: name, Reason: "names nobody's home: " + err.Error()}
	}
	return strings.TrimSuffix(owner.HomeDir, "/") + "/" + strings.TrimLeft(rest, "/"), nil
}
