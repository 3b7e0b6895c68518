package remote

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"
)

// sameCase is a configuration with which ssh and rel are to do the same. In all its
// texts {keys} is the folder of keys, {dir} one that is ssh's or rel's alone, {name}
// what the host is recorded as, {port} its port, {hash} that name hashed, and {KEY}
// a public key.
type sameCase struct {
	name string
	// sshd are lines of the sshd's configuration that come before the common ones,
	// config such of ssh's, and known its known_hosts.
	sshd, config, known string
	// agent are the keys that an agent holds, those with a + with their certificate.
	agent string
	// serve serves an agent in place of such.
	serve func(*testing.T, *keyFolder) (socket string)
	// wants says whether ssh connects.
	wants bool
	// stricter says why rel refuses where ssh connects. varies says how versions of ssh
	// differ: wants is then of rel alone.
	stricter, varies string
	// says are texts of rel's error, or of what it tells.
	says []string
}

// TestSameKeysAsSSH: rel connects with the keys with which ssh does, and to hosts
// with the host keys to which ssh does, on real sshds.
func TestSameKeysAsSSH(t *testing.T) {
	needSSHD(t)
	keys := sameKeys(t)
	for _, c := range append(userKeyCases, hostKeyCases...) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, keys)
		})
	}
}

// sameKeys are the keys of all cases; those of users whose name has good in it are
// authorised, and those of user_ca are trusted.
func sameKeys(t *testing.T) *keyFolder {
	f := newKeyFolder(t)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	f.add("good_rsa", "rsa")
	f.add("good_pem", "rsa")
	f.pem("good_pem")
	f.add("good_ecdsa", "ecdsa")
	for _, name := range []string{"good", "good2", "good_open", "good_half", "wrong", "wrong2", "wrong3", "wrong4", "wrong5", "user_ca",
		"certified", "expired", "early", "misnamed", "foreign", "hostly", "certified_alone", "host_ca", "host", "host2", "other_ca",
		"host_certified", "host_expired", "host_misnamed", "host_wild", "host_nameless"} {
		f.add(name, "ed25519")
	}
	f.add("certified_rsa", "rsa")
	f.add("host_rsa", "rsa")
	f.add("host_ecdsa", "ecdsa")
	locked, err := newKey("ed25519")
	if err != nil {
		t.Fatal(err)
	}
	f.addKey("good_locked", locked, "open sesame")
	f.add("good_bound", "ed25519")
	if err := os.Chmod(filepath.Join(f.dir, "good_open"), 0o644); err != nil {
		t.Fatal(err)
	}
	f.remove("good_half")
	f.write("broken", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n")

	mine := ssh.Certificate{CertType: ssh.UserCert, ValidPrincipals: []string{me.Username}}
	past, soon := uint64(time.Now().Add(-time.Hour).Unix()), uint64(time.Now().Add(time.Hour).Unix())
	f.certify("certified", "user_ca", mine)
	f.certify("certified_rsa", "user_ca", mine)
	f.add("certified_pem", "rsa")
	f.certify("certified_pem", "user_ca", mine)
	f.pem("certified_pem")
	f.certify("foreign", "other_ca", mine)
	f.certify("certified_alone", "user_ca", mine)
	f.remove("certified_alone")
	f.certify("expired", "user_ca", ssh.Certificate{CertType: ssh.UserCert, ValidPrincipals: mine.ValidPrincipals, ValidBefore: past})
	f.certify("early", "user_ca", ssh.Certificate{CertType: ssh.UserCert, ValidPrincipals: mine.ValidPrincipals, ValidAfter: soon})
	f.certify("misnamed", "user_ca", ssh.Certificate{CertType: ssh.UserCert, ValidPrincipals: []string{"nobody-here"}})
	f.certify("hostly", "user_ca", ssh.Certificate{CertType: ssh.HostCert, ValidPrincipals: mine.ValidPrincipals})

	here := []string{"127.0.0.1", "box-key"}
	f.certify("host_certified", "host_ca", ssh.Certificate{CertType: ssh.HostCert, ValidPrincipals: here})
	f.certify("host_expired", "host_ca", ssh.Certificate{CertType: ssh.HostCert, ValidPrincipals: here, ValidBefore: past})
	f.certify("host_misnamed", "host_ca", ssh.Certificate{CertType: ssh.HostCert, ValidPrincipals: []string{"elsewhere"}})
	f.certify("host_wild", "host_ca", ssh.Certificate{CertType: ssh.HostCert, ValidPrincipals: []string{"127.0.0.*"}})
	f.certify("host_nameless", "host_ca", ssh.Certificate{CertType: ssh.HostCert})

	f.token = newToken(t)
	f.public["token"] = f.token.public
	f.write("token.pub", f.lines("token"))
	f.write("token", "the handle of a key")
	f.write("authorized_keys", f.lines("good_rsa", "good_pem", "good_ecdsa", "good", "good2", "good_open", "good_half", "good_locked", "good_bound", "token"))
	if out, err := exec.Command("ssh-keygen", "-q", "-k", "-f", filepath.Join(f.dir, "krl"), filepath.Join(f.dir, "host2.pub")).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	return f
}

// run runs ssh and rel, each in a folder of its own: both may record the host's key.
func (c *sameCase) run(t *testing.T, keys *keyFolder) {
	pairs := []string{"{keys}", keys.dir}
	for name := range keys.public {
		pairs = append(pairs, "{"+name+"}", keys.line(name))
	}
	if !strings.Contains(c.sshd, "HostKey ") {
		c.sshd += "HostKey {keys}/host\n"
	}
	if !strings.Contains(c.sshd, "PasswordAuthentication") {
		c.sshd += "PasswordAuthentication no\n"
	}
	port := startSSHD(t, strings.NewReplacer(pairs...).Replace(c.sshd+`AuthorizedKeysFile {keys}/authorized_keys
TrustedUserCAKeys {keys}/user_ca.pub
StrictModes no
UsePAM no
PermitRootLogin yes
KbdInteractiveAuthentication no
KexAlgorithms curve25519-sha256
`))
	name := "[127.0.0.1]:" + port
	pairs = append(pairs, "{port}", port, "{name}", name, "{hash}", knownhosts.HashHostname(name))
	if c.agent != "" {
		c.serve = c.startAgent
	}
	if c.serve != nil {
		pairs = append(pairs, "{agent}", c.serve(t, keys))
	}
	connects, heard := runSSH(t, c.folder(t, pairs))
	if connects != c.wants && c.varies == "" {
		t.Errorf("ssh connects: %t\n%s", connects, heard)
	}
	var mu sync.Mutex
	var told []string
	d := &Dialer{ConfigFile: c.folder(t, pairs), Tell: func(text string) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, text)
	}}
	h, err := d.Dial(t.Context(), "box")
	if (err == nil) != (c.wants && c.stricter == "") {
		t.Errorf("rel: %+v; ssh connects: %t\n%s", err, connects, heard)
	}
	if err == nil {
		h.Close()
	}
	text := fmt.Sprintf("%v\n%s\n", err, strings.Join(told, "\n"))
	if auth, ok := err.(*AuthError); ok {
		for _, key := range auth.Skipped {
			text += fmt.Sprintln("not used:", key, key.Cure)
		}
	}
	contains(t, text, strings.Split(strings.NewReplacer(pairs...).Replace(strings.Join(c.says, "\x00")), "\x00")...)
}

// folder writes the client's files, and returns its configuration's.
func (c *sameCase) folder(t *testing.T, pairs []string) string {
	dir := t.TempDir()
	fill := strings.NewReplacer(append(pairs, "{dir}", dir)...)
	config := "Host box\n" + c.config + `
HostName 127.0.0.1
Port {port}
IdentityFile {keys}/good
IdentityAgent none
StrictHostKeyChecking yes
UserKnownHostsFile {dir}/known_hosts
GlobalKnownHostsFile /dev/null
`
	if strings.Contains(c.config, "IdentityFile") {
		config = strings.Replace(config, "IdentityFile {keys}/good\n", "", 1)
	}
	if c.serve != nil {
		config = strings.Replace(config, "IdentityAgent none", "IdentityAgent {agent}", 1)
	}
	switch c.known {
	case "":
		write(t, filepath.Join(dir, "known_hosts"), fill.Replace("{name} {host}\n"))
	case "-":
	default:
		write(t, filepath.Join(dir, "known_hosts"), fill.Replace(c.known))
	}
	name := filepath.Join(dir, "config")
	write(t, name, fill.Replace(config))
	return name
}

func (c *sameCase) startAgent(t *testing.T, keys *keyFolder) string {
	var held []agent.AddedKey
	for _, name := range strings.Fields(c.agent) {
		name, certified := strings.CutSuffix(name, "+")
		key := agent.AddedKey{PrivateKey: keys.private[name], Comment: name + "@laptop"}
		if certified {
			key.Certificate = keys.certs[name]
		}
		held = append(held, key)
	}
	return startAgent(t, held...)
}

func serveToken(t *testing.T, keys *keyFolder) string { return keys.token.serve(t) }

// serveBound starts an agent with a key that it is to use for one host alone.
func serveBound(t *testing.T, keys *keyFolder) string {
	socket, known := startAgent(t), filepath.Join(t.TempDir(), "known_hosts")
	write(t, known, "box-key "+keys.line("host")+"\n")
	cmd := exec.Command("ssh-add", "-q", "-H", known, "-h", "box-key", filepath.Join(keys.dir, "good_bound"))
	cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK="+socket)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	return socket
}

var userKeyCases = []sameCase{
	{name: "rsa", config: "IdentityFile {keys}/good_rsa", wants: true},
	{name: "rsa of the old format", config: "IdentityFile {keys}/good_pem", wants: true},
	{name: "ecdsa", config: "IdentityFile {keys}/good_ecdsa", wants: true},
	{name: "ed25519", wants: true},
	{name: "the second of two", config: "IdentityFile {keys}/wrong\nIdentityFile {keys}/good", wants: true},
	{name: "a broken file, and a good one", config: "IdentityFile {keys}/broken\nIdentityFile {keys}/good", wants: true},
	{name: "a file that is not there", config: "IdentityFile {keys}/gone", says: []string{"gone: there is no such file", "no keys"}},
	{name: "a broken file", config: "IdentityFile {keys}/broken", says: []string{"broken"}},
	{name: "wrong key", config: "IdentityFile {keys}/wrong", says: []string{"accepted none of the keys offered: ssh-ed25519 SHA256:", "({keys}/wrong)"}},
	{name: "revoked on the host", sshd: "RevokedKeys {keys}/good.pub\n", says: []string{"accepted none"}},
	{name: "file too open", config: "IdentityFile {keys}/good_open", says: []string{"others may read it (0644)", "chmod 600 {keys}/good_open"}},
	{name: "file too open, and in the agent", config: "IdentityFile {keys}/good_open", agent: "good_open", wants: true},
	{name: "encrypted", config: "IdentityFile {keys}/good_locked", says: []string{"it is encrypted", "ssh-add {keys}/good_locked"}},
	{name: "encrypted, and in the agent", config: "IdentityFile {keys}/good_locked", agent: "good_locked", wants: true},
	{name: "public half, key in the agent", config: "IdentityFile {keys}/good_half", agent: "good_half", wants: true},
	{name: "public half by its name, key in the agent alone", config: "IdentityFile {keys}/good_half.pub\nIdentitiesOnly yes", agent: "wrong good_half", wants: true},
	{name: "public half alone", config: "IdentityFile {keys}/good_half", says: []string{"only its public half is here"}},
	{name: "public half by its name alone", config: "IdentityFile {keys}/good_half.pub", says: []string{"only its public half is here"}},

	{name: "certificate beside the key", config: "IdentityFile {keys}/certified", wants: true},
	{name: "certificate of an rsa key", config: "IdentityFile {keys}/certified_rsa", wants: true},
	{name: "certificate of a key of the old format", config: "IdentityFile {keys}/certified_pem", wants: true},
	{name: "certificate by its name", config: "IdentityFile {keys}/certified\nCertificateFile {keys}/certified-cert.pub", wants: true},
	{name: "certificate by its name, beside others", config: "IdentityFile {keys}/certified\nCertificateFile {keys}/misnamed-cert.pub",
		says: []string{"neither in the agent nor in a file"}},
	{name: "certificate, key in the agent", config: "IdentityFile {keys}/certified_alone", agent: "certified_alone", wants: true},
	{name: "certificate by its name, key in the agent", config: "IdentityFile none\nCertificateFile {keys}/certified_alone-cert.pub", agent: "certified_alone", wants: true},
	{name: "certificate without its key", config: "IdentityFile {keys}/certified_alone", says: []string{"only its public half is here"}},
	{name: "certificate in the agent", config: "IdentityFile none", agent: "certified+", wants: true},
	{name: "certificate in the agent, and IdentitiesOnly", config: "IdentityFile {keys}/certified\nIdentitiesOnly yes", agent: "wrong certified+", wants: true},
	{name: "certificate in the agent that no file names", config: "IdentityFile {keys}/wrong\nIdentitiesOnly yes", agent: "certified+", says: []string{"accepted none"}},
	{name: "certificate expired", config: "IdentityFile {keys}/expired", says: []string{"it expired on 20"}},
	{name: "certificate of tomorrow", config: "IdentityFile {keys}/early", says: []string{"it is not valid before 20"}},
	{name: "certificate for somebody else", config: "IdentityFile {keys}/misnamed", says: []string{"ssh-ed25519-cert-v01@openssh.com SHA256:"}},
	{name: "certificate of a host", config: "IdentityFile {keys}/hostly", says: []string{"it is a host's certificate"}},
	{name: "certificate of an authority that the host does not know", config: "IdentityFile {keys}/foreign", says: []string{"accepted none"}},

	{name: "agent alone", config: "IdentityFile none", agent: "wrong good", wants: true},
	{name: "wrong keys in the agent", config: "IdentityFile none", agent: "wrong wrong2", says: []string{"(agent: wrong@laptop)", "(agent: wrong2@laptop)"}},
	{name: "agent that is not there", config: "IdentityAgent {dir}/none\nIdentityFile {keys}/wrong", says: []string{"the agent's keys"}},
	{name: "agent that is not there, and a file", config: "IdentityAgent {dir}/none", wants: true},
	{name: "IdentitiesOnly and a full agent", sshd: "MaxAuthTries 2\n", config: "IdentitiesOnly yes",
		agent: "wrong wrong2 wrong3 wrong4 wrong5", wants: true},
	{name: "a full agent", sshd: "MaxAuthTries 2\n", agent: "wrong wrong2 wrong3 wrong4 wrong5", says: []string{"hung up after too many keys"}},
	{name: "a full agent, and the key in it is named", sshd: "MaxAuthTries 2\n", agent: "wrong wrong2 wrong3 wrong4 good", wants: true},
	{name: "two keys, both allowed tries", sshd: "MaxAuthTries 2\n", config: "IdentityFile {keys}/wrong\nIdentityFile {keys}/good", wants: true},
	{name: "three keys, two allowed tries", sshd: "MaxAuthTries 2\n", config: "IdentityFile {keys}/wrong\nIdentityFile {keys}/wrong2\nIdentityFile {keys}/good",
		says: []string{"hung up after too many keys"}},

	{name: "a key on a token, in the agent", config: "IdentityFile {keys}/token", serve: serveToken, wants: true, says: []string{"touch your key for box"}},
	{name: "a key on a token alone", config: "IdentityFile {keys}/token", says: []string{"signs through the agent alone", "ssh-add {keys}/token"}},
	{name: "a key that the agent keeps for this host", config: "IdentityFile none", serve: serveBound, wants: true,
		stricter: "the agent wants proof of the host that x/crypto cannot give", says: []string{"not used: ssh-ed25519 SHA256:", "add it without -h"}},
	{name: "a key that the agent keeps for this host, and another", config: "IdentityFile {keys}/good", serve: serveBound, wants: true},

	{name: "PubkeyAcceptedAlgorithms", config: "PubkeyAcceptedAlgorithms rsa-sha2-256\nIdentityFile {keys}/good\nIdentityFile {keys}/good_rsa", wants: true},
	{name: "PubkeyAcceptedAlgorithms without the key's", config: "PubkeyAcceptedAlgorithms rsa-sha2-*", says: []string{"PubkeyAcceptedAlgorithms leaves ssh-ed25519 out"}},
	{name: "PubkeyAcceptedAlgorithms without certificates", config: "PubkeyAcceptedAlgorithms ssh-ed25519\nIdentityFile {keys}/certified",
		says: []string{"leaves ssh-ed25519-cert-v01@openssh.com out"}},
	{name: "PubkeyAcceptedAlgorithms of the host", sshd: "PubkeyAcceptedAlgorithms rsa-sha2-512\n", config: "IdentityFile {keys}/good_rsa", wants: true},
	{name: "RequiredRSASize", config: "RequiredRSASize 3072\nIdentityFile {keys}/good_rsa", says: []string{"it has 2048 bits"}},
	{name: "PubkeyAuthentication no", config: "PubkeyAuthentication no", says: []string{"all keys: PubkeyAuthentication"}},
	{name: "PreferredAuthentications without keys", config: "PreferredAuthentications password", says: []string{"all keys: "}},

	{name: "two keys wanted", sshd: "AuthenticationMethods publickey,publickey\n", config: "IdentityFile {keys}/good\nIdentityFile {keys}/good2", wants: true},
	{name: "a key and a password wanted", sshd: "PasswordAuthentication yes\nAuthenticationMethods publickey,password\n", says: []string{"took a key, and wants more: password"}},
	{name: "only a password wanted", sshd: "PubkeyAuthentication no\nPasswordAuthentication yes\n", says: []string{"takes no keys, only password"}},
}

var hostKeyCases = []sameCase{
	{name: "one of several types known", sshd: "HostKey {keys}/host_rsa\nHostKey {keys}/host_ecdsa\nHostKey {keys}/host\n", known: "{name} {host_ecdsa}\n", wants: true},
	{name: "only rsa known", sshd: "HostKey {keys}/host\nHostKey {keys}/host_rsa\n", known: "{name} {host_rsa}\n", wants: true},
	{name: "only another type known", known: "{name} {host_rsa}\n", says: []string{"has changed", "ssh-rsa SHA256:", "known_hosts:1"}},
	{name: "hashed", known: "{hash} {host}\n", wants: true},
	{name: "hashed, another key", known: "{hash} {host2}\n", says: []string{"has changed"}},
	{name: "without its port", known: "127.0.0.1 {host}\n", wants: true},
	{name: "another key without its port", known: "127.0.0.1 {host2}\n", says: []string{"is not known"}},
	{name: "another key without its port, accept-new", config: "StrictHostKeyChecking accept-new", known: "127.0.0.1 {host2}\n", wants: true},
	{name: "patterns", known: "!elsewhere,[127.0.0.*]:{port} {host}\n", wants: true},
	{name: "a pattern that leaves it out", known: "*,!{name} {host}\n127.0.0.? {host}\n", wants: true},
	{name: "patterns that leave it out", known: "*,!{name},!127.0.0.1 {host}\n", says: []string{"is not known"}},
	{name: "in capitals", config: "HostKeyAlias box-key", known: "BOX-Key {host}\n", wants: true},
	{name: "alias in capitals", config: "HostKeyAlias BOX-Key", known: "box-key {host}\n", wants: true},
	{name: "alias", config: "HostKeyAlias box-key", known: "box-key {host}\n", wants: true},
	{name: "alias, known by its address", config: "HostKeyAlias box-key", known: "{name} {host}\n127.0.0.1 {host}\n", says: []string{"is not known"}},
	{name: "alias with a port", config: "HostKeyAlias box-key", known: "[box-key]:{port} {host}\n", says: []string{"is not known"}},
	{name: "changed", known: "{name} {host2}\n", says: []string{"has changed: it shows ssh-ed25519 SHA256:", "known_hosts:1"}},
	{name: "changed, accept-new", config: "StrictHostKeyChecking accept-new", known: "{name} {host2}\n", says: []string{"has changed"}},
	{name: "changed, StrictHostKeyChecking no", config: "StrictHostKeyChecking no", known: "{name} {host2}\n", wants: true,
		stricter: "a host whose key nobody checks is not one to hand production to", says: []string{"has changed", "taken as accept-new"}},
	{name: "changed, NoHostAuthenticationForLocalhost", config: "NoHostAuthenticationForLocalhost yes", known: "{name} {host2}\n", wants: true,
		stricter: "what answers here may be a tunnel's end, and then it is another host", says: []string{"has changed"}},
	{name: "another line has it", known: "{name} {host2}\n{name} {host}\n", wants: true},
	{name: "new, StrictHostKeyChecking off", config: "StrictHostKeyChecking off", known: "-", wants: true, says: []string{"taken as accept-new", "is recorded in"}},
	{name: "new, accept-new", config: "StrictHostKeyChecking accept-new", known: "-", wants: true, says: []string{"is recorded in"}},
	{name: "new, ask", config: "StrictHostKeyChecking ask", known: "-", says: []string{"is not known"}},
	{name: "new, yes", known: "-", says: []string{"is not known"}},
	{name: "new, and a file that is a folder", config: "StrictHostKeyChecking accept-new\nUserKnownHostsFile {dir}", wants: true, says: []string{"could not be recorded"}},
	{name: "new, and no file", config: "StrictHostKeyChecking accept-new\nUserKnownHostsFile /dev/null", wants: true},
	{name: "a malformed line", known: "{name}\n{name} ssh-ed25519 AAAA\n@mark {name} {host}\n|1|x|y {host}\n# {name}\n\n{name} {host}\n", wants: true,
		says: []string{"known_hosts:1 is passed over", "known_hosts:2 is passed over", "known_hosts:3 is passed over", "known_hosts:4 is passed over"}},
	{name: "global file", config: "GlobalKnownHostsFile {dir}/global {dir}/known_hosts\nUserKnownHostsFile /dev/null", wants: true},
	{name: "several files", config: "UserKnownHostsFile {dir}/none {dir}/known_hosts", wants: true},

	{name: "authority", sshd: certified("host_certified"), known: "@cert-authority [127.0.0.1]:* {host_ca}\n", wants: true},
	{name: "authority without a port", sshd: certified("host_certified"), known: "@cert-authority 127.0.0.* {host_ca}\n", wants: true},
	{name: "authority, and an alias", sshd: certified("host_certified"), config: "HostKeyAlias box-key", known: "@cert-authority box-* {host_ca}\n", wants: true},
	{name: "authority of a certificate with a pattern", sshd: certified("host_wild"), known: "@cert-authority * {host_ca}\n", wants: true, varies: "patterns are principals since OpenSSH 10"},
	{name: "authority of a certificate for no host", sshd: certified("host_nameless"), known: "@cert-authority * {host_ca}\n", says: []string{"it is not for 127.0.0.1"},
		varies: "before OpenSSH 10 such a certificate is for every host"},
	{name: "authority, and an expired certificate", sshd: certified("host_expired"), known: "@cert-authority * {host_ca}\n", says: []string{"is not known", "cert has expired"}},
	{name: "authority, and an expired certificate of a known key", sshd: certified("host_expired"), known: "@cert-authority * {host_ca}\n{name} {host_expired}\n", wants: true},
	{name: "authority, and a certificate for another host", sshd: certified("host_misnamed"), known: "@cert-authority * {host_ca}\n", says: []string{"it is not for 127.0.0.1"}},
	{name: "another authority", sshd: certified("host_certified"), known: "@cert-authority * {other_ca}\n", says: []string{"is not on record"}},
	{name: "another authority, and the plain key", sshd: certified("host_certified"), known: "@cert-authority * {other_ca}\n{name} {host_certified}\n", wants: true},
	{name: "a certificate, and the plain key", sshd: certified("host_certified"), known: "{name} {host_certified}\n", wants: true},
	{name: "authority, and no certificate", known: "@cert-authority * {host_ca}\n", says: []string{"is not known"}},
	{name: "authority, and no certificate, accept-new", config: "StrictHostKeyChecking accept-new", known: "@cert-authority * {host_ca}\n", wants: true},
	{name: "the authority's own key", sshd: "HostKey {keys}/host_ca\n", known: "@cert-authority * {host_ca}\n", says: []string{"is not known"}},
	{name: "CASignatureAlgorithms without the authority's", sshd: certified("host_certified"), config: "CASignatureAlgorithms rsa-sha2-512",
		known: "@cert-authority * {host_ca}\n", says: []string{"CASignatureAlgorithms leaves out"}},

	{name: "revoked", known: "{name} {host}\n@revoked * {host}\n", says: []string{"is revoked", "known_hosts:2"}},
	{name: "revoked, accept-new", config: "StrictHostKeyChecking accept-new", known: "@revoked {name} {host}\n", says: []string{"is revoked"}},
	{name: "revoked for another host", known: "@revoked elsewhere {host}\n{name} {host}\n", wants: true},
	{name: "revoked without its port", known: "@revoked 127.0.0.1 {host}\n{name} {host}\n", wants: true,
		stricter: "ssh looks at the name without the port only if the other is not on record", says: []string{"is revoked"}},
	{name: "authority revoked", sshd: certified("host_certified"), known: "@revoked * {host_ca}\n@cert-authority * {host_ca}\n{name} {host_certified}\n", says: []string{"is revoked", "known_hosts:1"}},
	{name: "RevokedHostKeys", config: "RevokedHostKeys {keys}/host.pub", says: []string{"is revoked ({keys}/host.pub:1)"}},
	{name: "RevokedHostKeys of others", config: "RevokedHostKeys {keys}/host2.pub", wants: true},
	{name: "RevokedHostKeys has the authority", sshd: certified("host_certified"), config: "RevokedHostKeys {keys}/host_ca.pub", known: "@cert-authority * {host_ca}\n", says: []string{"is revoked"}},
	{name: "RevokedHostKeys is not there", config: "RevokedHostKeys {dir}/none", says: []string{"RevokedHostKeys", "cannot be read"}},
	{name: "RevokedHostKeys has another line", config: "RevokedHostKeys {keys}/broken", says: []string{"has no key in line 1"}},
	{name: "RevokedHostKeys is a revocation list", config: "RevokedHostKeys {keys}/krl", wants: true,
		stricter: "rel cannot read a KRL, and passes over nothing that might revoke the key", says: []string{"is a key revocation list"}},

	{name: "HostKeyAlgorithms", sshd: "HostKey {keys}/host\nHostKey {keys}/host_rsa\n", config: "HostKeyAlgorithms rsa-sha2-512", known: "{name} {host_rsa}\n{name} {host}\n", wants: true},
	{name: "HostKeyAlgorithms without that of the host", config: "HostKeyAlgorithms rsa-sha2-512", says: []string{"no common algorithm"}},
	{name: "HostKeyAlgorithms without the plain key's", sshd: certified("host_expired"), config: "HostKeyAlgorithms ssh-ed25519-cert-v01@openssh.com",
		known: "{name} {host_expired}\n", says: []string{"leaves out the plain key"},
		varies: "OpenSSH 10 refuses the key, and those before did not"},

	{name: "KnownHostsCommand", config: `KnownHostsCommand /bin/echo %H "{host}"`, known: "-", wants: true},
	{name: "KnownHostsCommand with its tokens", config: `KnownHostsCommand /bin/sh -c "test %%I = %I -a %t = NONE || echo %H %t %K; test -z '%f'"`, known: "-"},
	{name: "KnownHostsCommand that repeats the key", config: `KnownHostsCommand /bin/sh -c "test %I = ORDER || echo '%H' %t %K"`, known: "-", wants: true},
	{name: "KnownHostsCommand with another key", config: `KnownHostsCommand /bin/echo %H {host2}`, known: "-", says: []string{"has changed", "KnownHostsCommand:1"}},
	{name: "KnownHostsCommand about another host", config: `KnownHostsCommand /bin/echo elsewhere {host}`, known: "-", says: []string{"is not known"}},
	{name: "KnownHostsCommand that revokes", config: `KnownHostsCommand /bin/echo @revoked * {host}`, says: []string{"is revoked (KnownHostsCommand:1)"}},
	{name: "KnownHostsCommand that fails", config: `KnownHostsCommand /bin/false`, says: []string{"KnownHostsCommand", "failed"}},
	{name: "KnownHostsCommand without a path", config: `KnownHostsCommand echo %H {host}`, wants: true,
		stricter: "ssh complains and goes on without it: what it would have revoked is not known", says: []string{"absolute path"}},
}

// certified are the sshd's lines for a host key with its certificate.
func certified(key string) string {
	return "HostKey {keys}/" + key + "\nHostCertificate {keys}/" + key + "-cert.pub\n"
}

// TestOfferedAsSSH: rel offers the same keys as ssh, in the same order.
func TestOfferedAsSSH(t *testing.T) {
	needSSHD(t)
	t.Parallel()
	keys := newKeyFolder(t)
	for _, name := range []string{"host", "user_ca", "a", "b", "c", "d", "e", "f"} {
		keys.add(name, "ed25519")
	}
	mine := ssh.Certificate{CertType: ssh.UserCert, ValidPrincipals: []string{"somebody"}}
	keys.certify("b", "user_ca", mine)
	keys.certify("f", "user_ca", mine)
	port := startSSHD(t, strings.ReplaceAll("HostKey {}/host\nStrictModes no\nUsePAM no\nMaxAuthTries 20\nAuthorizedKeysFile none\n", "{}", keys.dir))
	for name, c := range map[string]sameCase{
		"files":          {config: "IdentityFile {keys}/a\nIdentityFile {keys}/b\nIdentityFile {keys}/c"},
		"files, agent":   {config: "IdentityFile {keys}/a\nIdentityFile {keys}/b\nIdentityFile {keys}/c", agent: "d c b+ e"},
		"IdentitiesOnly": {config: "IdentitiesOnly yes\nIdentityFile {keys}/a\nIdentityFile {keys}/b\nIdentityFile {keys}/c", agent: "d c b+ e"},
		"certificates":   {config: "CertificateFile {keys}/f-cert.pub\nIdentityFile {keys}/a\nIdentityFile {keys}/b\nIdentityFile {keys}/f", agent: "d b"},
	} {
		t.Run(name, func(t *testing.T) {
			pairs := []string{"{keys}", keys.dir, "{port}", port, "{name}", "[127.0.0.1]:" + port, "{host}", keys.line("host")}
			if c.agent != "" {
				c.serve = c.startAgent
				pairs = append(pairs, "{agent}", c.serve(t, keys))
			}
			config := c.folder(t, pairs)
			out, _ := exec.Command("ssh", "-v", "-o", "BatchMode=yes", "-F", config, "box", "true").CombinedOutput()
			var want, got []string
			for _, m := range regexp.MustCompile(`Offering public key: .* (\S+) (SHA256:\S+)`).FindAllStringSubmatch(string(out), -1) {
				want = append(want, strings.ToLower(m[1])+" "+m[2])
			}
			_, err := (&Dialer{ConfigFile: config}).Dial(t.Context(), "box")
			var auth *AuthError
			if !errors.As(err, &auth) {
				t.Fatalf("got %v", err)
			}
			for _, key := range auth.Offered {
				fields := strings.Fields(key)
				got = append(got, strings.TrimSuffix(strings.TrimPrefix(fields[0], "ssh-"), "-v01@openssh.com")+" "+fields[1])
			}
			if len(want) < 3 || !slices.Equal(got, want) {
				t.Errorf("rel offers %q, and ssh %q\n%s", got, want, out)
			}
		})
	}
}
