package remote

import (
	"bufio"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
)

// Bounds of what Aliases reads. OpenSSH includes sixteen deep.
const (
	aliasDepth = 16
	aliasFiles = 256
	aliasBytes = 4 << 20
	aliasCount = 5000
)

// Aliases lists the names that an SSH configuration has a Host line for, sorted: those that
// are names and not patterns, also in files that it includes. It is for who types a name,
// decides nothing, and passes over what it cannot read. Without a file named it reads the
// operator's and the system's.
func Aliases(configFile string) []string {
	a := &aliases{names: map[string]bool{}, bytes: aliasBytes}
	if me, err := user.Current(); err == nil {
		a.home = me.HomeDir
	}
	if configFile != "" {
		a.read(configFile, filepath.Join(a.home, ".ssh"), 0)
	} else {
		a.read(filepath.Join(a.home, ".ssh", "config"), filepath.Join(a.home, ".ssh"), 0)
		a.read(systemConfig, filepath.Dir(systemConfig), 0)
	}
	names := make([]string, 0, len(a.names))
	for name := range a.names {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

type aliases struct {
	names map[string]bool
	home  string
	files int
	// bytes is what may be read still.
	bytes int64
}

// read takes the names from a file; those that it includes by a relative name are in dir.
func (a *aliases) read(path, dir string, depth int) {
	// A pipe would be waited for.
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || depth > aliasDepth || a.files >= aliasFiles {
		return
	}
	a.files++
	file, err := os.Open(path)
	if err != nil {
		return
	}
	defer file.Close()
	lines := bufio.NewScanner(io.LimitReader(file, a.bytes))
	for lines.Scan() {
		a.bytes -= int64(len(lines.Bytes()) + 1)
		switch key, value := keyValue(lines.Text()); key {
		case "host":
			a.add(valueWords(value))
		case "include":
			for _, pattern := range valueWords(value) {
				a.include(pattern, dir, depth)
			}
		}
	}
}

func (a *aliases) add(names []string) {
	for _, name := range names {
		if !strings.ContainsAny(name, "*?!,") && len(a.names) < aliasCount && Clean(name) == name {
			a.names[name] = true
		}
	}
}

func (a *aliases) include(pattern, dir string, depth int) {
	if rest, ok := strings.CutPrefix(pattern, "~/"); ok {
		pattern = filepath.Join(a.home, rest)
	}
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(dir, pattern)
	}
	files, _ := filepath.Glob(pattern) // a pattern that makes no sense names no file
	for _, file := range files {
		a.read(file, dir, depth+1)
	}
}

// valueWords are the words of a value: quotes keep blanks in one.
func valueWords(value string) (words []string) {
	word, inWord, quoted := "", false, false
	end := func() {
		if inWord {
			words = append(words, word)
		}
		word, inWord = "", false
	}
	for _, r := range value {
		switch {
		case r == '"':
			quoted, inWord = !quoted, true
		case r == '#' && !inWord:
			return words
		case !quoted && (r == ' ' || r == '\t'):
			end()
		default:
			word, inWord = word+string(r), true
		}
	}
	end()
	return words
}
