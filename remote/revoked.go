package remote

import (
	"bytes"
	"fmt"
	"os"

	"golang.org/x/crypto/ssh"
)

// readRevoked reads the files of RevokedHostKeys, which are lists of public keys.
// As with OpenSSH, one that cannot be read lets no host in.
func readRevoked(s *settings) (list records, err error) {
	for _, name := range s.revokedHostKeys {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, &ConfigError{Host: s.alias, Option: "RevokedHostKeys", Reason: "cannot be read: " + err.Error()}
		}
		if bytes.HasPrefix(text, []byte("SSHKRL\n")) {
			return nil, &ConfigError{Host: s.alias, Option: "RevokedHostKeys " + name,
				Reason: "is a key revocation list: rel reads lists of public keys alone"}
		}
		number := 0
		for line := range bytes.Lines(text) {
			number++
			line = bytes.TrimSpace(line)
			if len(line) == 0 || line[0] == '#' {
				continue
			}
			key, _, _, _, err := ssh.ParseAuthorizedKey(line)
			if err != nil {
				return nil, &ConfigError{Host: s.alias, Option: fmt.Sprintf("RevokedHostKeys %s", name),
					Reason: fmt.Sprintf("has no key in line %d", number)}
			}
			list = append(list, &record{marker: markRevoked, key: plain(key), where: fmt.Sprintf("%s:%d", name, number)})
		}
	}
	return list, nil
}
