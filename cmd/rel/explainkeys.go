package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"choir.chat/rel/remote"
)

// explainAuth says what lets a host take a key of the operator's.
func (a advice) explainAuth(auth *remote.AuthError) explanation {
	a.sshConfig = cmp.Or(auth.ConfigFile, a.sshConfig)
	ssh, config := a.ssh("", auth.Host), a.sshFile()
	e := explanation{code: exitUnreachable, what: auth.Error(), cure: ssh}
	for _, key := range auth.Skipped {
		line := "not used: " + key.String()
		if key.Cure != nil {
			line += "; run: " + shellLine(key.Cure)
			if e.cure == ssh {
				e.cure = shellLine(key.Cure)
			}
		}
		e.detail = append(e.detail, line)
	}
	key, first := auth.KeyFile, ""
	if key == "" {
		key, first = "~/.ssh/id_ed25519", "make a key (ssh-keygen -t ed25519), and "
	}
	switch {
	case auth.TooMany:
		e.detail = append(e.detail,
			"the host lets fewer keys be tried than there are (MaxAuthTries)",
			fmt.Sprintf("say which is right in %s: Host %s, IdentitiesOnly yes, IdentityFile %s", config, auth.Host, key))
		e.cure = ssh
	case auth.Partial:
		e.detail = append(e.detail,
			"rel offers keys alone: it opens several connections, with nobody there to type",
			fmt.Sprintf("let a key suffice, in sshd_config on %s: Match User %s, AuthenticationMethods publickey", auth.Address, auth.User))
		e.cure = ssh
	case len(auth.Wanted) > 0:
		e.detail = append(e.detail, fmt.Sprintf("let it take keys, in sshd_config on %s: PubkeyAuthentication yes", auth.Address))
	default:
		e.detail = append(e.detail,
			fmt.Sprintf("1. %sname the right key in %s: Host %s, IdentityFile %s", first, config, auth.Host, key),
			fmt.Sprintf("2. put its public half, %s.pub, into ~%s/.ssh/authorized_keys on %s", key, auth.User, auth.Address),
			"3. try: "+ssh)
	}
	return e
}

// explainHostKey says how to find out whether a key is the host's, and how to
// record it if it is.
func explainHostKey(k *remote.HostKeyError) explanation {
	algorithm, _, _ := strings.Cut(strings.TrimPrefix(k.Type, "ssh-"), "-") // ed25519, rsa or ecdsa
	own := fmt.Sprintf("ssh-keygen -lf /etc/ssh/ssh_host_%s_key.pub", algorithm)
	e := explanation{code: exitUnreachable, what: k.Error(), cure: own + ", typed on the host itself: compare"}
	switch {
	case k.Revoked != "":
		e.cure = "give the host a new key; the one that it shows must not be trusted again"
	case len(k.Known) > 0:
		e.detail = []string{"it was set up anew, or someone stands in between"}
	case k.File == "":
		e.detail = []string{"UserKnownHostsFile names no file to record it in"}
	default:
		e.detail = []string{"compare with the host's own: " + own + "; if it is the same, record it"}
		e.cure, e.unknown = "", []*remote.HostKeyError{k}
	}
	return e
}

// recording is the command that records the keys of hosts that are not known.
func recording(unknown []*remote.HostKeyError) string {
	var files, commands []string
	lines := map[string][]string{}
	for _, k := range unknown {
		if !slices.Contains(files, k.File) {
			files = append(files, k.File)
		}
		if word := shellWord(k.Line); !slices.Contains(lines[k.File], word) {
			lines[k.File] = append(lines[k.File], word)
		}
	}
	for _, file := range files {
		words := lines[file]
		if !endsLine(file) {
			words = append([]string{"''"}, words...)
		}
		commands = append(commands, fmt.Sprintf(`printf '%%s\n' %s >> %s`, strings.Join(words, " "), shellWord(file)))
	}
	return strings.Join(commands, " && ")
}

// endsLine reports whether what is appended to a file begins a line.
func endsLine(file string) bool {
	f, err := os.Open(file)
	if err != nil {
		return true // mostly it is not there
	}
	defer f.Close()
	last := make([]byte, 1)
	if _, err := f.Seek(-1, io.SeekEnd); err != nil {
		return true
	}
	_, err = f.Read(last)
	return err != nil || last[0] == '\n'
}

// shellLine is a command to type.
func shellLine(command []string) string {
	words := make([]string, len(command))
	for i, word := range command {
		words[i] = shellWord(word)
	}
	return strings.Join(words, " ")
}

// shellWord quotes a word for the shell, if it needs that.
func shellWord(word string) string {
	plain := func(r rune) bool {
		return !strings.ContainsRune("/._-+=:@,", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}
	if word != "" && !strings.ContainsFunc(word, plain) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
