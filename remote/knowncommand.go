package remote

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// commandTimeout bounds KnownHostsCommand.
const commandTimeout = 20 * time.Second

// commanded are the records that KnownHostsCommand prints. As with OpenSSH it is
// run twice: to order the algorithms, when there is no key yet, and with the key
// that the host shows. If it fails, the host is refused.
func (k *hostKeys) commanded(ctx context.Context, invocation string, key ssh.PublicKey) (records, error) {
	template := k.settings.knownHostsCommand
	if template == "" {
		return nil, nil
	}
	refuse := func(format string, args ...any) error {
		return &ConfigError{Host: k.settings.alias, Option: "KnownHostsCommand", Reason: fmt.Sprintf(format, args...)}
	}
	args, ok := splitArguments(template)
	if !ok || len(args) == 0 || !filepath.IsAbs(args[0]) {
		return nil, refuse("is no command with an absolute path: %s", program(template))
	}
	for i, arg := range args[1:] {
		expanded, err := k.settings.expand(k.expand(arg, invocation, key), fileTokens, true)
		if err != nil {
			return nil, err
		}
		args[i+1] = expanded
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stderr = &stderr
	// It may leave a child that keeps our pipe open.
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return nil, refuse("failed: %v %s", err, oneLine(stderr.String()))
	}
	return parseRecords("KnownHostsCommand", out, k.dialer.tell).of(k.names[0]), nil
}

// expand expands the tokens that KnownHostsCommand alone knows, and leaves the
// others as they are.
func (k *hostKeys) expand(arg, invocation string, key ssh.PublicKey) string {
	tokens := map[byte]string{'H': k.names[0], 'I': invocation, 't': "NONE", 'f': "NONE", 'K': "NONE"}
	if key != nil {
		tokens['t'], tokens['f'] = key.Type(), ssh.FingerprintSHA256(plain(key))
		tokens['K'] = base64.StdEncoding.EncodeToString(key.Marshal())
	}
	var b strings.Builder
	for i := 0; i < len(arg); i++ {
		if arg[i] != '%' || i+1 == len(arg) {
			b.WriteByte(arg[i])
			continue
		}
		i++
		if value, ok := tokens[arg[i]]; ok {
			b.WriteString(strings.ReplaceAll(value, "%", "%%"))
		} else {
			b.WriteString(arg[i-1 : i+1])
		}
	}
	return b.String()
}

// splitArguments splits a command as OpenSSH's argv_split does: at blanks that
// are neither quoted nor escaped. A quote that does not end is an error.
func splitArguments(text string) (args []string, ok bool) {
	var arg []byte
	var quote byte
	within := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		blank := c == ' ' || c == '\t'
		switch {
		case blank && quote == 0:
			if within {
				args = append(args, string(arg))
			}
			arg, within = nil, false
			continue
		case c == '\\' && i+1 < len(text) && (strings.IndexByte(`'"\`, text[i+1]) >= 0 || quote == 0 && text[i+1] == ' '):
			i++
			arg = append(arg, text[i])
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote != 0 && c == quote:
			quote = 0
		default:
			arg = append(arg, c)
		}
		within = true
	}
	if within {
		args = append(args, string(arg))
	}
	return args, quote == 0
}
