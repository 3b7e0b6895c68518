package main

import (
	"fmt"
	"strings"

	"choir.chat/rel/remote"
)

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
