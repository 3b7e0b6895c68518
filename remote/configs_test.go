package remote

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// configs are SSH configurations, and what a host is reached with. $DIR is the folder
// of the configuration, with the file "more" in it; $HOME and $USER are the test's.
// ssh itself is asked to say the same.
var configs = []struct {
	name, alias, config, more string
	want                      map[string]string
	// onlySSH says that it takes ssh to read it.
	onlySSH bool
}{
	{name: "nothing is said", alias: "plain", want: map[string]string{"to": "$USER@plain:22", "jumps": "", "command": "",
		"userknown": "$HOME/.ssh/known_hosts | $HOME/.ssh/known_hosts2", "globalknown": "/etc/ssh/ssh_known_hosts | /etc/ssh/ssh_known_hosts2"}},
	{name: "an alias", alias: "prod", config: "Host prod\n HostName 10.0.0.2\n User deploy\n Port 2222\n", want: map[string]string{"to": "deploy@10.0.0.2:2222", "key": "10.0.0.2:2222"}},
	{name: "the alias of another", alias: "prod", config: "Host production\n Port 2222\n", want: map[string]string{"to": "$USER@prod:22"}},
	{name: "the first value counts", alias: "prod", config: "Host prod\n Port 1\nHost *\n Port 2\n User late\n", want: map[string]string{"to": "late@prod:1"}},
	{name: "before any Host", alias: "prod", config: "User early\nHost prod\n User late\n", want: map[string]string{"to": "early@prod:22"}},
	{name: "the user is named", alias: "root@prod", config: "Host prod\n User deploy\n", want: map[string]string{"to": "root@prod:22"}},
	{name: "the port is named", alias: "prod:2022", config: "Host prod\n Port 2222\n HostName x.example\n", want: map[string]string{"to": "$USER@x.example:2022"}},
	{name: "a URI", alias: "ssh://me@prod:2022", config: "Host prod\n HostName x.example\n", want: map[string]string{"to": "me@x.example:2022"}},
	{name: "keys are in any case", alias: "prod", config: "HOST prod\n hOSTnAME x.example\n pOrT 5\n", want: map[string]string{"to": "$USER@x.example:5"}},
	{name: "equals signs", alias: "prod", config: "Host=prod\n HostName = x.example\n Port=5\n", want: map[string]string{"to": "$USER@x.example:5"}},
	{name: "tabs and comments", alias: "prod", config: "# all\nHost prod # here\n\tHostName\tx.example\n\n\tPort 5 # five\n", want: map[string]string{"to": "$USER@x.example:5"}},
	{name: "carriage returns", alias: "prod", config: "Host prod\r\n HostName x.example\r\n Port 5\r\n", want: map[string]string{"to": "$USER@x.example:5"}},
	{name: "no last newline", alias: "prod", config: "Host prod\n Port 5", want: map[string]string{"to": "$USER@prod:5"}},
	{name: "names are lowered", alias: "PROD", config: "Host PROD\n User big\nHost prod\n User small\n", want: map[string]string{"to": "big@prod:22"}},
	{name: "HostName is lowered", alias: "prod", config: "Host prod\n HostName X.Example\n", want: map[string]string{"to": "$USER@x.example:22"}},

	{name: "a star", alias: "prod-3", config: "Host prod-*\n User deploy\n", want: map[string]string{"to": "deploy@prod-3:22"}},
	{name: "a star is nothing too", alias: "prod", config: "Host prod*\n User deploy\n", want: map[string]string{"to": "deploy@prod:22"}},
	{name: "a question mark", alias: "prod1", config: "Host prod?\n User deploy\n", want: map[string]string{"to": "deploy@prod1:22"}, onlySSH: true},
	{name: "a question mark is one character", alias: "prod", config: "Host prod?\n User deploy\n", want: map[string]string{"to": "$USER@prod:22"}, onlySSH: true},
	{name: "dots are dots", alias: "axb", config: "Host a.b\n User deploy\n", want: map[string]string{"to": "$USER@axb:22"}},
	{name: "several patterns", alias: "b", config: "Host a b c\n User deploy\n", want: map[string]string{"to": "deploy@b:22"}},
	{name: "patterns and a tab", alias: "b", config: "Host a\tb\n User deploy\n", want: map[string]string{"to": "deploy@b:22"}, onlySSH: true},
	{name: "a pattern in quotes", alias: "b", config: "Host \"b\" c\n User deploy\n", want: map[string]string{"to": "deploy@b:22"}, onlySSH: true},
	{name: "a negation", alias: "prod-db", config: "Host prod-* !prod-db\n User deploy\n", want: map[string]string{"to": "$USER@prod-db:22"}},
	{name: "a negation first", alias: "prod-web", config: "Host !prod-db prod-*\n User deploy\n", want: map[string]string{"to": "deploy@prod-web:22"}},
	{name: "a negation alone", alias: "web", config: "Host !prod-db\n User deploy\n", want: map[string]string{"to": "$USER@web:22"}},
	{name: "Host is what was typed", alias: "prod", config: "Host prod\n HostName x.example\nHost x.example\n User other\n", want: map[string]string{"to": "$USER@x.example:22"}},

	{name: "%h in HostName", alias: "prod", config: "Host prod\n HostName %h.example.com\n", want: map[string]string{"to": "$USER@prod.example.com:22"}},
	{name: "%% in HostName", alias: "prod", config: "Host prod\n HostName fe80::1%%lo\n", want: map[string]string{"to": "$USER@[fe80::1%lo]:22"}},
	{name: "IPv6", alias: "v6", config: "Host v6\n HostName 2001:db8::1\n Port 222\n", want: map[string]string{"to": "$USER@[2001:db8::1]:222", "key": "[2001:db8::1]:222"}},
	{name: "IPv6 is typed", alias: "me@[::1]:2200", config: "Host ::1\n IdentityFile /k\n", want: map[string]string{"to": "me@[::1]:2200", "identities": "/k"}},
	{name: "HostKeyAlias", alias: "prod", config: "Host prod\n HostName 10.0.0.2\n Port 2222\n HostKeyAlias Prod-Key\n", want: map[string]string{"to": "$USER@10.0.0.2:2222", "key": "prod-key:22"}},

	{name: "an identity", alias: "prod", config: "Host prod\n IdentityFile ~/.ssh/prod\n IdentitiesOnly yes\n", want: map[string]string{"identities": "$HOME/.ssh/prod", "only": "true"}},
	{name: "several identities", alias: "prod", config: "Host prod\n IdentityFile /a\n IdentityFile /b\nHost *\n IdentityFile /c\n IdentityFile /a\n", want: map[string]string{"identities": "/a | /b | /c"}},
	{name: "no identity", alias: "prod", config: "Host prod\n IdentityFile none\n", want: map[string]string{"identities": ""}},
	{name: "an identity with spaces", alias: "prod", config: "Host prod\n IdentityFile \"~/my keys/prod\"\n", want: map[string]string{"identities": "$HOME/my keys/prod"}},
	{name: "an identity with a number sign", alias: "prod", config: "Host prod\n IdentityFile /key#1\n", want: map[string]string{"identities": "/key#1"}, onlySSH: true},
	{name: "tokens of the host", alias: "bob@prod:2222", config: "Host prod\n HostName 10.0.0.2\n IdentityFile /k/%n-%h-%p-%r\n", want: map[string]string{"identities": "/k/prod-10.0.0.2-2222-bob"}},
	{name: "tokens of the operator", alias: "prod", config: "IdentityFile %d/%u-%i\nIdentityFile /%L/%l\n", want: map[string]string{"identities": "$HOME/$USER-$UID | /$SHORT/$LOCAL"}},
	{name: "%k without an alias", alias: "prod", config: "Host prod\n HostName 10.0.0.2\n IdentityFile /%k\n", want: map[string]string{"identities": "/prod"}},
	{name: "%k with one", alias: "prod", config: "Host prod\n HostKeyAlias Key\n IdentityFile /%k\n", want: map[string]string{"identities": "/key"}},
	{name: "%%", alias: "prod", config: "IdentityFile /100%%h\n", want: map[string]string{"identities": "/100%h"}},
	{name: "%C", alias: "prod", config: "Host prod\n HostName 10.0.0.2\n IdentityFile /k/%C\n", want: map[string]string{"identities": "/k/$HASH"}, onlySSH: true},
	{name: "the environment", alias: "prod", config: "IdentityFile ${REL_TEST_KEYS}/${REL_TEST_NAME}.key\n", want: map[string]string{"identities": "/keys of mine/%h.key"}},
	{name: "the home of a user", alias: "prod", config: "IdentityFile ~root/k\nIdentityFile ~//k\n", want: map[string]string{"identities": "$ROOT/k | $HOME/k"}},
	{name: "a certificate", alias: "prod", config: "Host prod\n CertificateFile ~/%n-cert.pub\n CertificateFile /b%%\n IdentityFile /k\n", want: map[string]string{"certificates": "$HOME/prod-cert.pub | /b%"}},

	{name: "an agent", alias: "prod", config: "IdentityAgent ~/%r.sock\n", want: map[string]string{"agent": "$HOME/$USER.sock"}},
	{name: "no agent", alias: "prod", config: "IdentityAgent none\n", want: map[string]string{"agent": "none"}},
	{name: "the environment's agent", alias: "prod", config: "IdentityAgent SSH_AUTH_SOCK\n", want: map[string]string{"agent": "SSH_AUTH_SOCK"}},
	{name: "an agent of a variable", alias: "prod", config: "IdentityAgent $REL_TEST_AGENT\n", want: map[string]string{"agent": "/run/my agent"}},
	{name: "an agent of no variable", alias: "prod", config: "IdentityAgent $REL_TEST_NONE\n", want: map[string]string{"agent": "none"}},
	{name: "an agent within variables", alias: "prod", config: "IdentityAgent ${REL_TEST_NAME}/%%h\n", want: map[string]string{"agent": "%h/%h"}},

	{name: "known hosts", alias: "prod", config: "UserKnownHostsFile ~/a /b/%h /c%%\nGlobalKnownHostsFile /d ~/e\n", want: map[string]string{"userknown": "$HOME/a | /b/prod | /c%", "globalknown": "/d | $HOME/e"}},
	{name: "no known hosts", alias: "prod", config: "UserKnownHostsFile none\nGlobalKnownHostsFile none\n", want: map[string]string{"userknown": "", "globalknown": ""}},
	{name: "known hosts with spaces", alias: "prod", config: "UserKnownHostsFile \"$DIR/more\" \"$DIR/known hosts\" /c\n", want: map[string]string{"userknown": "$DIR/more | $DIR/known hosts | /c"}, onlySSH: true},
	{name: "strict", alias: "prod", config: "StrictHostKeyChecking yes\nHashKnownHosts yes\n", want: map[string]string{"strict": "yes", "hash": "true"}},
	{name: "accept-new", alias: "prod", config: "StrictHostKeyChecking accept-new\nHashKnownHosts no\n", want: map[string]string{"strict": "accept-new", "hash": "false"}},
	{name: "not strict", alias: "prod", config: "StrictHostKeyChecking off\n", want: map[string]string{"strict": "no"}},

	{name: "patience", alias: "prod", config: "ConnectTimeout 7\nConnectionAttempts 3\nServerAliveInterval 2\nServerAliveCountMax 1\nTCPKeepAlive no\n",
		want: map[string]string{"timeout": "7s", "attempts": "3", "pace": "2s x 1", "tcpkeepalive": "false"}},
	{name: "a slower keepalive than ours", alias: "prod", config: "ServerAliveInterval 60\n", want: map[string]string{"pace": "5s x 3"}},
	{name: "time formats", alias: "prod", config: "ConnectTimeout 1m30s\n", want: map[string]string{"timeout": "1m30s"}, onlySSH: true},
	{name: "IPv4 alone", alias: "prod", config: "AddressFamily inet\nBindAddress 127.0.0.1\n", want: map[string]string{"network": "tcp4", "bind": "127.0.0.1"}},
	{name: "IPv6 alone", alias: "prod", config: "AddressFamily inet6\nBindInterface lo\n", want: map[string]string{"network": "tcp6", "device": "lo"}},

	{name: "a jump", alias: "far", config: "Host far\n ProxyJump near\n", want: map[string]string{"jumps": "near", "hop": "-- near"}},
	{name: "a jump with everything", alias: "far", config: "Host far\n ProxyJump me@near.example:2222\n", want: map[string]string{"jumps": "me@near.example:2222", "hop": "-l me -p 2222 -- near.example"}},
	{name: "jumps", alias: "far", config: "Host far\n ProxyJump ssh://c:24,a,me@b:23\n", want: map[string]string{"jumps": "ssh://c:24 | a | me@b:23", "hop": "-l me -p 23 -J ssh://c:24,a -- b"}},
	{name: "a jump over IPv6", alias: "far", config: "Host far\n ProxyJump me@[::1]:24\n", want: map[string]string{"jumps": "me@[::1]:24", "hop": "-l me -p 24 -- ::1"}},
	{name: "a jump with tokens", alias: "far", config: "Host far\n HostName 10.0.0.9\n ProxyJump first-%r,gate-%n\n User x\n", want: map[string]string{"jumps": "first-x | gate-far", "hop": "-J first-x -- gate-far"}},
	{name: "no jump", alias: "far", config: "Host far\n ProxyJump none\nHost *\n ProxyJump near\n", want: map[string]string{"jumps": "", "command": ""}},
	{name: "a jump before a command", alias: "far", config: "Host far\n ProxyJump near\nHost *\n ProxyCommand false\n", want: map[string]string{"jumps": "near", "command": ""}, onlySSH: true},
	{name: "a command before a jump", alias: "far", config: "Host far\n ProxyCommand false\nHost *\n ProxyJump near\n", want: map[string]string{"jumps": "", "command": "false"}, onlySSH: true},
	{name: "a command", alias: "me@far:24", config: "Host far\n HostName 10.0.0.9\n ProxyCommand false %h %p %r %n %% \"%h\" # $x\n", want: map[string]string{"command": "false 10.0.0.9 24 me far % \"10.0.0.9\" # $x"}, onlySSH: true},
	{name: "no command", alias: "far", config: "Host far\n ProxyCommand none\nHost *\n ProxyCommand false\n", want: map[string]string{"command": ""}},
	{name: "a command in quotes", alias: "far", config: "Host far\n ProxyCommand \"false\" \"%h\"\n", want: map[string]string{"command": "\"false\" \"far\""}, onlySSH: true},

	{name: "Include", alias: "prod", config: "Include $DIR/more\nHost prod\n Port 3\n", more: "Host prod\n User inner\nHost other\n User other\n", want: map[string]string{"to": "inner@prod:3"}},
	{name: "Include within a Host", alias: "prod", config: "Host web\n Include $DIR/more\nHost prod\n User outer\n", more: "User inner\nHost prod\n Port 3\n", want: map[string]string{"to": "outer@prod:22"}},
	{name: "after an Include within a Host", alias: "prod", config: "Host prod\n Include $DIR/more\n User outer\n", more: "Host web\n Port 3\n", want: map[string]string{"to": "outer@prod:22"}},
	{name: "Include of what is not there", alias: "prod", config: "Include $DIR/none*\nUser outer\n", want: map[string]string{"to": "outer@prod:22"}},
	{name: "identities through an Include", alias: "prod", config: "IdentityFile /a\nInclude $DIR/mo*\nIdentityFile /c\n", more: "IdentityFile /b\n", want: map[string]string{"identities": "/a | /b | /c"}},

	{name: "Match all", alias: "prod", config: "Host web\n Port 2\nMatch all\n User deploy\n", want: map[string]string{"to": "deploy@prod:22"}, onlySSH: true},
	{name: "Match host is by HostName", alias: "prod", config: "Host prod\n HostName x.example\nMatch host *.example\n User deploy\nMatch host prod\n Port 2\n", want: map[string]string{"to": "deploy@x.example:22"}, onlySSH: true},
	{name: "Match originalhost", alias: "prod", config: "Host prod\n HostName x.example\nMatch originalhost prod,web\n User deploy\n", want: map[string]string{"to": "deploy@x.example:22"}, onlySSH: true},
	{name: "Match !host", alias: "prod", config: "Match !host web*\n User deploy\n", want: map[string]string{"to": "deploy@prod:22"}, onlySSH: true},
	{name: "Match user", alias: "deploy@prod", config: "Match user deploy\n Port 2\nMatch user root\n Port 3\n", want: map[string]string{"to": "deploy@prod:2"}, onlySSH: true},
	{name: "Match localuser", alias: "prod", config: "Match localuser $USER\n Port 2\n", want: map[string]string{"to": "$USER@prod:2"}, onlySSH: true},
	{name: "Match exec", alias: "prod", config: "Match exec \"test %h = prod\"\n Port 2\n", want: map[string]string{"to": "$USER@prod:2"}, onlySSH: true},
	{name: "Match exec fails", alias: "prod", config: "Match host prod exec \"false\"\n Port 2\n", want: map[string]string{"to": "$USER@prod:22"}, onlySSH: true},
	{name: "Match !exec", alias: "prod", config: "Match !exec \"false\"\n Port 2\n", want: map[string]string{"to": "$USER@prod:2"}, onlySSH: true},
	{name: "Match final", alias: "prod", config: "Host prod\n HostName x.example\nMatch final host x.example\n Port 2\n", want: map[string]string{"to": "$USER@x.example:2"}, onlySSH: true},
	{name: "Match canonical", alias: "prod", config: "Match canonical all\n Port 2\n", want: map[string]string{"to": "$USER@prod:22"}, onlySSH: true},
	{name: "Match in an Include", alias: "prod", config: "Include $DIR/more\n", more: "Match host prod\n User inner\n", want: map[string]string{"to": "inner@prod:22"}, onlySSH: true},
}

// summary is what connections go by, in words.
func summary(s *settings) map[string]string {
	list := func(names []string) string { return strings.Join(names, " | ") }
	to := fmt.Sprintf("%s@%s", s.user, s.address())
	if !strings.Contains(s.host, ":") {
		to = fmt.Sprintf("%s@%s:%s", s.user, s.host, s.port)
	}
	m := map[string]string{
		"to": to, "key": s.keyAddress(), "identities": list(s.identityFiles), "certificates": list(s.certificateFiles), "agent": s.identityAgent,
		"only": fmt.Sprint(s.identitiesOnly), "userknown": list(s.userKnownHosts), "globalknown": list(s.knownHosts), "strict": s.strict,
		"hash": fmt.Sprint(s.hashKnownHosts), "timeout": fmt.Sprint(s.connectTimeout), "pace": fmt.Sprintf("%s x %d", s.pace().every, s.pace().misses),
		"jumps": list(s.jumps), "command": s.proxyCommand, "network": s.network, "bind": s.bindAddress, "device": s.bindInterface,
		"attempts": fmt.Sprint(s.attempts), "tcpkeepalive": fmt.Sprint(s.tcpKeepAlive),
	}
	if hop, ok := s.hop(); ok {
		m["hop"] = strings.Join(hop.args(), " ")
	}
	return m
}

// configured writes a configuration of the table, and returns the words that stand for
// what is the test's own.
func configured(t *testing.T, config, more string) (file string, words *strings.Replacer) {
	t.Helper()
	dir := t.TempDir()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	root, err := user.Lookup("root")
	if err != nil {
		t.Fatal(err)
	}
	local, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	short, _, _ := strings.Cut(local, ".")
	hash := sha1.Sum([]byte(local + "10.0.0.2" + "22" + me.Username))
	words = strings.NewReplacer("$DIR", dir, "$HOME", me.HomeDir, "$ROOT", root.HomeDir, "$USER", me.Username, "$UID", me.Uid,
		"$SHORT", short, "$LOCAL", local, "$HASH", hex.EncodeToString(hash[:]))
	for name, value := range map[string]string{"KEYS": "/keys of mine", "NAME": "%h", "AGENT": "/run/my agent"} {
		t.Setenv("REL_TEST_"+name, value)
	}
	file = filepath.Join(dir, "config")
	write(t, file, words.Replace(config))
	write(t, filepath.Join(dir, "more"), words.Replace(more))
	write(t, filepath.Join(dir, "known hosts"), "")
	return file, words
}

// What rel goes by is what was meant, and what ssh goes by.
func TestSameAsSSH(t *testing.T) {
	ssh := needSSH(t)
	for _, c := range configs {
		t.Run(c.name, func(t *testing.T) {
			file, words := configured(t, c.config, c.more)
			to, err := parseDestination(c.alias)
			if err != nil {
				t.Fatal(err)
			}
			d := &Dialer{ConfigFile: file}
			s, err := d.resolve(t.Context(), to)
			if err != nil {
				t.Fatal(err)
			}
			got := summary(s)
			for key, want := range c.want {
				if want = words.Replace(want); got[key] != want {
					t.Errorf("%s is %q, want %q", key, got[key], want)
				}
			}
			for key, want := range witnessed(t, ssh, file, to, s) {
				if got[key] != want {
					t.Errorf("%s is %q, ssh has %q", key, got[key], want)
				}
			}
		})
	}
}

// needSSH is the path of ssh.
func needSSH(t *testing.T) string {
	t.Helper()
	ssh, err := exec.LookPath("ssh")
	if err != nil {
		t.Skip("there is no ssh to compare with")
	}
	return ssh
}

var opened = regexp.MustCompile(`(?m)^debug1: (identity file|certificate file|Executing proxy command:) (?:exec )?(.*?)(?: type -?\d+)?\r?$`)

// witnessed is what ssh itself opens and runs on its way to a host that it does not
// reach: files, a ProxyCommand, or the ssh that a ProxyJump stands for.
func witnessed(t *testing.T, ssh, file string, to destination, s *settings) map[string]string {
	t.Helper()
	dir := t.TempDir()
	hop := filepath.Join(dir, "hop")
	write(t, filepath.Join(dir, "ssh"), "#!/bin/sh\necho \"$*\" > "+hop+"\n")
	if err := os.Chmod(filepath.Join(dir, "ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	args := []string{"ssh", "-v", "-T", "-F", file, "-o", "BatchMode=yes"}
	if s.proxyCommand == "" && len(s.jumps) == 0 {
		args = append(args, "-o", "ProxyCommand=false")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, ssh)
	cmd.Args = append(append(args, to.args()...), "true")
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "SHELL=/bin/sh")
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatal("ssh reached it")
	}
	var identities, certificates []string
	found := map[string]string{}
	for _, m := range opened.FindAllStringSubmatch(string(out), -1) {
		switch n := len(identities); {
		case m[1] == "certificate file":
			certificates = append(certificates, m[2])
		case m[1] == "Executing proxy command:" && s.proxyCommand != "":
			found["command"] = m[2]
		case m[1] == "identity file" && (n == 0 || m[2] != identities[n-1]+"-cert"):
			identities = append(identities, m[2])
		}
	}
	found["identities"], found["certificates"] = strings.Join(identities, " | "), strings.Join(certificates, " | ")
	if len(s.jumps) > 0 {
		found["hop"] = strings.Replace(strings.TrimSpace(read(t, hop)), fmt.Sprintf("-F %s -v -W [%s]:%s ", file, s.host, s.port), "-- ", 1)
	}
	return found
}

// Without ssh the answers are the same, or there is none.
func TestSameWithoutSSH(t *testing.T) {
	needSSH(t)
	for _, c := range configs {
		t.Run(c.name, func(t *testing.T) {
			file, _ := configured(t, c.config, c.more)
			to, err := parseDestination(c.alias)
			if err != nil {
				t.Fatal(err)
			}
			with, err := (&Dialer{ConfigFile: file}).resolve(t.Context(), to)
			if err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", t.TempDir())
			without, err := (&Dialer{ConfigFile: file}).resolve(t.Context(), to)
			var refused *ConfigError
			switch {
			case c.onlySSH && !errors.As(err, &refused):
				t.Fatalf("it was read, as %v (%v)", summary(without), err)
			case c.onlySSH:
				return
			case err != nil:
				t.Fatal(err)
			}
			// Debian's ssh still has two kinds of keys that others gave up, and rel never had.
			with.identityFiles = slices.DeleteFunc(with.identityFiles, func(name string) bool {
				return strings.HasSuffix(name, "/id_xmss") || strings.HasSuffix(name, "/id_dsa")
			})
			if got, want := summary(without), summary(with); !maps.Equal(got, want) {
				t.Errorf("without ssh: %v\nwith ssh: %v", got, want)
			}
		})
	}
}
