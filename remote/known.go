package remote

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// record is a line of a known_hosts file. x/crypto parses it, and no more: its own
// judgement of such files, and that of skeema/knownhosts above it, is not OpenSSH's.
// They take the key of an authority for a host's, and a host without a certificate for
// changed where an authority is on record; they know no name without its port, and one
// malformed line is the end of them.
type record struct {
	// marker is empty, cert-authority or revoked.
	marker string
	// hosts are the patterns of the names that it is about, or the one name
	// that stands there hashed.
	hosts []string
	key   ssh.PublicKey
	// where is its file and line.
	where string
}

const (
	markAuthority = "cert-authority"
	markRevoked   = "revoked"
)

func (r *record) String() string {
	return fmt.Sprintf("%s %s (%s)", r.key.Type(), ssh.FingerprintSHA256(r.key), r.where)
}

// records are lines of known_hosts files, in the files' order.
type records []*record

// verdict is what records say of a key.
type verdict string

const (
	unknown verdict = "unknown"
	known   verdict = "known"
	changed verdict = "changed"
)

// weigh weighs a plain key, as OpenSSH does (check_hostkeys_by_key_or_type in
// its hostfile.c): the key of an authority is nobody's host key.
func (rs records) weigh(key ssh.PublicKey) verdict {
	if rs.find("", key) != nil {
		return known
	}
	if len(rs.marked("")) > 0 {
		return changed
	}
	return unknown
}

// marked are the records that have the marker.
func (rs records) marked(marker string) (list records) {
	for _, r := range rs {
		if r.marker == marker {
			list = append(list, r)
		}
	}
	return list
}

// find is the record of a key that has the marker; nil if there is none.
func (rs records) find(marker string, key ssh.PublicKey) *record {
	for _, r := range rs {
		if r.marker == marker && same(r.key, key) {
			return r
		}
	}
	return nil
}

// revocation is the record that revokes a key, or the authority that signed it.
func (rs records) revocation(key ssh.PublicKey) *record {
	if r := rs.find(markRevoked, plain(key)); r != nil {
		return r
	}
	if cert, ok := key.(*ssh.Certificate); ok {
		return rs.find(markRevoked, cert.SignatureKey)
	}
	return nil
}

// of are the records about a name, which is in lower case.
func (rs records) of(name string) (list records) {
	for _, r := range rs {
		if r.about(name) {
			list = append(list, r)
		}
	}
	return list
}

func (r *record) about(name string) bool {
	if salt, hash, ok := hashed(r.hosts[0]); ok {
		mac := hmac.New(sha1.New, salt)
		mac.Write([]byte(name))
		return hmac.Equal(mac.Sum(nil), hash)
	}
	matched := false
	for _, pattern := range r.hosts {
		pattern, negated := strings.CutPrefix(pattern, "!")
		if !matches(strings.ToLower(pattern), name) {
			continue
		}
		if negated {
			return false
		}
		matched = true
	}
	return matched
}

// matches reports whether a name is one of a pattern with * and ?.
func matches(pattern, name string) bool {
	literal := strings.NewReplacer("[", `\[`, "]", `\]`, `\`, `\\`)
	ok, err := path.Match(literal.Replace(pattern), name)
	return ok && err == nil
}

// hashed takes a hashed host name apart: |1|salt|hash.
func hashed(host string) (salt, hash []byte, ok bool) {
	fields := strings.Split(host, "|")
	if len(fields) != 4 || fields[0] != "" || fields[1] != "1" {
		return nil, nil, false
	}
	salt, err1 := base64.StdEncoding.DecodeString(fields[2])
	hash, err2 := base64.StdEncoding.DecodeString(fields[3])
	return salt, hash, err1 == nil && err2 == nil
}

// readRecords reads known_hosts files. A file that is not there is an empty one;
// what cannot be read is told and passed over.
func readRecords(files []string, tell func(string, ...any)) (list records) {
	for _, name := range files {
		text, err := os.ReadFile(name)
		switch {
		case err == nil:
			list = append(list, parseRecords(name, text, tell)...)
		case !errors.Is(err, fs.ErrNotExist):
			tell("known hosts are passed over: %v", err)
		}
	}
	return list
}

func parseRecords(source string, text []byte, tell func(string, ...any)) (list records) {
	number := 0
	for line := range bytes.Lines(text) {
		number++
		where := fmt.Sprintf("%s:%d", source, number)
		r, err := parseRecord(where, line)
		if err != nil {
			tell("%s is passed over: %s", where, oneLine(err.Error()))
		} else if r != nil {
			list = append(list, r)
		}
	}
	return list
}

// parseRecord reads one line; an empty one and a comment are no record.
func parseRecord(where string, line []byte) (*record, error) {
	line = bytes.TrimSpace(line)
	if len(line) == 0 || line[0] == '#' {
		return nil, nil
	}
	marker, hosts, key, _, _, err := ssh.ParseKnownHosts(line)
	switch {
	case errors.Is(err, io.EOF):
		return nil, errors.New("there is no key")
	case err != nil:
		return nil, err
	case !slices.Contains([]string{"", markAuthority, markRevoked}, marker):
		return nil, fmt.Errorf("@%s is not known", marker)
	}
	if _, _, ok := hashed(hosts[0]); strings.HasPrefix(hosts[0], "|") && !ok {
		return nil, errors.New("its host name is not hashed as it should be")
	}
	return &record{marker: marker, hosts: hosts, key: key, where: where}, nil
}

func same(a, b ssh.PublicKey) bool { return bytes.Equal(a.Marshal(), b.Marshal()) }

// plain is the key in a certificate, and any other key itself.
func plain(key ssh.PublicKey) ssh.PublicKey {
	if cert, ok := key.(*ssh.Certificate); ok {
		return cert.Key
	}
	return key
}
