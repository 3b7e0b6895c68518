package main

import (
	"fmt"
	"strings"

	"choir.chat/rel/remote"
)

// explainAuth says what lets a host take a key of the operator's.
func explainAuth(a *remote.AuthError) explanation {
	ssh, config := "ssh ", "~/.ssh/config"
	if a.ConfigFile != "" {
		ssh, config = "ssh -F "+shellWord(a.ConfigFile)+" ", a.ConfigFile
	}
	e := explanation{code: exitUnreachable, what: a.Error(), cure: ssh + a.Host}
	for _, key := range a.Skipped {
		line := "not used: " + key.String()
		if key.Cure != nil {
			line += "; run: " + shellLine(key.Cure)
			if e.cure == ssh+a.Host {
				e.cure = shellLine(key.Cure)
			}
		}
		e.detail = append(e.detail, line)
	}
	key, first := a.KeyFile, ""
	if key == "" {
		key, first = "~/.ssh/id_ed25519", "make a key (ssh-keygen -t ed25519), and "
	}
	switch {
	case a.TooMany:
		e.detail = append(e.detail,
			"the host lets fewer keys be tried than there are (MaxAuthTries)",
			fmt.Sprintf("say which is right in %s: Host %s, IdentitiesOnly yes, IdentityFile %s", config, a.Host, key))
		e.cure = ssh + a.Host
	case a.Partial:
		e.detail = append(e.detail,
			"rel offers keys alone: it opens several connections, with nobody there to type",
			fmt.Sprintf("let a key suffice, in sshd_config on %s: Match User %s, AuthenticationMethods publickey", a.Address, a.User))
		e.cure = ssh + a.Host
	case len(a.Wanted) > 0:
		e.detail = append(e.detail, fmt.Sprintf("let it take keys, in sshd_config on %s: PubkeyAuthentication yes", a.Address))
	default:
		e.detail = append(e.detail,
			fmt.Sprintf("1. %sname the right key in %s: Host %s, IdentityFile %s", first, config, a.Host, key),
			fmt.Sprintf("2. put its public half, %s.pub, into ~%s/.ssh/authorized_keys on %s", key, a.User, a.Address),
			fmt.Sprintf("3. try: %s%s", ssh, a.Host))
	}
	return e
}

// explainHostKey says how to find out whether a key is the host's, and how to
// record it if it is.
func explainHostKey(k *remote.HostKeyError) explanation {
	algorithm, _, _ := strings.Cut(strings.TrimPrefix(k.Type, "ssh-"), "-") // ed25519, rsa or ecdsa
	own := fmt.Sprintf("ssh-keygen -lf /etc/ssh/ssh_host_%s_key.pub", algorithm)
	e := explanation{code: exitUnreachable, what: k.Error(), cure: "compare with the host's own: " + own}
	switch {
	case k.Revoked != "":
		e.cure = "give the host a new key; the one that it shows must not be trusted again"
	case len(k.Known) > 0:
		e.detail = []string{"it was set up anew, or someone stands in between"}
	case k.File == "":
		e.detail = []string{"UserKnownHostsFile names no file to record it in"}
	default:
		e.detail = []string{"compare with the host's own: " + own, "if that is its key, record it:"}
		// The file may lack the end of its last line.
		e.cure = fmt.Sprintf(`printf '\n%%s\n' %s >> %s`, shellWord(k.Line), shellWord(k.File))
	}
	return e
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
