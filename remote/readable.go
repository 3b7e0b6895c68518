package remote

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kevinburke/ssh_config"
)

// installSSH is the cure for all that can be read only with ssh.
const installSSH = "install an OpenSSH client"

// includeDepth is how deep files may include others.
const includeDepth = 5

// readConfig reads a file of ssh_config(5) if ssh_config reads it as OpenSSH does. It
// takes a Match for a Host, "?" for one character or none, "#" for a comment wherever
// it stands, and knows quotes only around a whole value.
func readConfig(name string, mayMiss bool) (*ssh_config.Config, error) {
	text, err := os.ReadFile(name)
	if mayMiss && errors.Is(err, fs.ErrNotExist) {
		return new(ssh_config.Config), nil
	}
	if err != nil {
		return nil, err
	}
	if err := readable(name, string(text), 0); err != nil {
		return nil, err
	}
	config, err := ssh_config.DecodeBytes(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return config, nil
}

// readable checks a file, and those that it includes.
func readable(name, text string, depth int) error {
	if depth > includeDepth {
		return fmt.Errorf("%s: it is included by too many files", name)
	}
	number := 0
	for line := range strings.Lines(text) {
		number++
		key, value := keyValue(line)
		if reason := misread(name, key, value); reason != "" {
			return fmt.Errorf("%s:%d has %s, which takes ssh to be read: %s", name, number, reason, installSSH)
		}
		if key != "include" {
			continue
		}
		files, err := included(value)
		if err != nil {
			return fmt.Errorf("%s:%d: %w", name, number, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return fmt.Errorf("%s:%d: %w", name, number, err)
			}
			if err := readable(file, string(text), depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// keyValue takes a line apart. A line without anything has no key.
func keyValue(line string) (key, value string) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return "", ""
	}
	end := strings.IndexAny(line, " \t=")
	if end < 0 {
		return strings.ToLower(line), ""
	}
	return strings.ToLower(line[:end]), strings.TrimLeft(line[end:], " \t=")
}

// algorithmLists are the keywords whose values may add to OpenSSH's own lists.
var algorithmLists = []string{"kexalgorithms", "ciphers", "macs", "hostkeyalgorithms", "casignaturealgorithms",
	"pubkeyacceptedalgorithms", "pubkeyacceptedkeytypes"}

// misread says what in a line is not read as OpenSSH reads it.
func misread(file, key, value string) string {
	plain := !strings.ContainsAny(value, `"'\`)
	before, _, found := strings.Cut(value, "#")
	glued := found && strings.TrimRight(before, " \t") == before
	command := key == "proxycommand" || key == "knownhostscommand" // the rest of the line, as it stands
	switch {
	case key == "match":
		return "a Match block"
	case key != "host" && key != "include" && keywords[key].take == nil:
		return ""
	case glued:
		return `a "#" that is part of a value`
	case key == "host" && (!plain || strings.ContainsAny(value, "?\t")):
		return "a Host pattern with a question mark, a tab or quotes"
	case key == "include" && (!plain || strings.ContainsAny(value, "%$\t")):
		return "an Include with tokens, a tab or quotes"
	case key == "include" && strings.HasPrefix(file, filepath.Dir(systemConfig)+"/") && !filepath.IsAbs(value):
		return "an Include of a name that is not absolute"
	case command && (found || strings.HasPrefix(value, `"`) && strings.HasSuffix(value, `"`)):
		return `a command with a "#", or in quotes`
	case !command && !plain && (!quoted(value) || strings.HasSuffix(key, "knownhostsfile") || key == "revokedhostkeys"):
		return "quotes or backslashes within a value"
	case slices.Contains(algorithmLists, key) && (strings.ContainsAny(value, "+^*?") || strings.HasPrefix(value, "-")):
		return "algorithms that depend on OpenSSH's own"
	}
	return ""
}

// quoted reports whether a value is whole in one pair of double quotes.
func quoted(value string) bool {
	inner, opened := strings.CutPrefix(value, `"`)
	inner, closed := strings.CutSuffix(inner, `"`)
	return opened && closed && !strings.ContainsAny(inner, `"'\`)
}

// included are the files that an Include names, as ssh_config finds them.
func included(value string) ([]string, error) {
	value, _, _ = strings.Cut(value, "#")
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	var files []string
	for _, name := range strings.Fields(value) {
		if rest, ok := strings.CutPrefix(name, "~/"); ok {
			name = filepath.Join(me.HomeDir, rest)
		} else if !filepath.IsAbs(name) {
			name = filepath.Join(me.HomeDir, ".ssh", name)
		}
		found, err := filepath.Glob(name)
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	return files, nil
}
