package remote

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// A keyword of ssh_config(5) is honoured, refused where its value asks for what
// cannot be done, or of no matter.
type keyword struct {
	// take puts a value into the settings, or says why it is refused.
	take func(s *settings, value string) (refusal string)
	// moot says why a value is of no matter.
	moot string
}

// Reasons that several keywords share.
const (
	resolved = "ssh -G has acted on it"
	session  = "it is for a session at a terminal"
	forwards = "rel forwards nothing that the configuration names"
	password = "rel logs in with keys alone"
	display  = "it is for what ssh shows"
	strictly = "rel checks every host's key against what is on record, and is no laxer without it"
	sharing  = "rel has a connection of its own for the run"
	kerberos = "rel has no Kerberos; the other ways to log in are as they are"
)

// keywords are those that ssh -G prints, from OpenSSH 8.2 to 10.1, with those that
// Debian, Red Hat and Apple add. They are in small letters.
var keywords = map[string]keyword{
	// Where the host is.
	"hostname":           {take: func(s *settings, v string) string { s.host = v; return "" }},
	"port":               {take: func(s *settings, v string) string { s.port = v; return "" }},
	"user":               {take: func(s *settings, v string) string { s.user = v; return "" }},
	"addressfamily":      {take: takeFamily},
	"bindaddress":        {take: func(s *settings, v string) string { s.bindAddress = v; return "" }},
	"bindinterface":      {take: func(s *settings, v string) string { s.bindInterface = v; return "" }},
	"connectionattempts": {take: number(func(s *settings, n int) { s.attempts = max(n, 1) })},
	"connecttimeout":     {take: seconds(func(s *settings, d time.Duration) { s.connectTimeout = d })},
	"tcpkeepalive":       {take: func(s *settings, v string) string { s.tcpKeepAlive = yes(v); return "" }},

	// How to get there.
	"proxyjump":      {take: takeJumps},
	"proxycommand":   {take: takeProxyCommand},
	"proxyusefdpass": {take: func(s *settings, v string) string { s.fdpass = yes(v); return "" }},

	// Who it is.
	"hostkeyalias":          {take: func(s *settings, v string) string { s.hostKeyAlias = strings.ToLower(v); return "" }},
	"hashknownhosts":        {take: func(s *settings, v string) string { s.hashKnownHosts = yes(v); return "" }},
	"stricthostkeychecking": {take: func(s *settings, v string) string { s.strict = strictness(v); return "" }},
	"userknownhostsfile":    {take: func(s *settings, v string) (no string) { s.userKnownHosts, no = s.files(v); return no }},
	"globalknownhostsfile":  {take: func(s *settings, v string) (no string) { s.knownHosts, no = s.files(v); return no }},
	"hostkeyalgorithms":     {take: func(s *settings, v string) string { s.hostKeyAlgorithms = list(v); return "" }},
	"casignaturealgorithms": {take: func(s *settings, v string) string { s.caSignatureAlgorithms = list(v); return "" }},
	"requiredrsasize":       {take: number(func(s *settings, n int) { s.requiredRSASize = n })},
	"knownhostscommand":     {take: func(s *settings, v string) string { s.knownHostsCommand = unlessNone(v); return "" }},
	"revokedhostkeys":       {take: func(s *settings, v string) (no string) { s.revokedHostKeys, no = s.files(v); return no }},

	// Who we are.
	"identityfile":             {take: func(s *settings, v string) string { s.identityFiles = addName(s.identityFiles, v); return "" }},
	"certificatefile":          {take: func(s *settings, v string) string { s.certificateFiles = addName(s.certificateFiles, v); return "" }},
	"identitiesonly":           {take: func(s *settings, v string) string { s.identitiesOnly = yes(v); return "" }},
	"identityagent":            {take: func(s *settings, v string) string { s.identityAgent = v; return "" }},
	"pubkeyacceptedalgorithms": {take: func(s *settings, v string) string { s.pubkeyAcceptedAlgorithms = list(v); return "" }},
	"pubkeyacceptedkeytypes":   {take: func(s *settings, v string) string { s.pubkeyAcceptedAlgorithms = list(v); return "" }},
	"pubkeyauthentication":     {take: takePublicKey},
	"preferredauthentications": {take: takePreferred},
	"batchmode":                {take: func(s *settings, v string) string { s.batchMode = yes(v); return "" }},
	"pkcs11provider":           {take: func(s *settings, v string) string { s.pkcs11Provider = unlessNone(v); return "" }},

	// The connection.
	"serveraliveinterval": {take: seconds(func(s *settings, d time.Duration) { s.aliveInterval = d })},
	"serveralivecountmax": {take: number(func(s *settings, n int) { s.aliveCountMax = min(max(n, 0), math.MaxInt16) })},
	"kexalgorithms":       {take: algorithms(func(c *ssh.Config) *[]string { return &c.KeyExchanges })},
	"ciphers":             {take: algorithms(func(c *ssh.Config) *[]string { return &c.Ciphers })},
	"macs":                {take: algorithms(func(c *ssh.Config) *[]string { return &c.MACs })},
	"compression":         {moot: "what is sent is the same without it"},
	"ipqos":               {moot: "rel leaves the marks of its packets to the system"},
	"rekeylimit":          {moot: "keys are changed as often as their cipher wants it"},
	"versionaddendum":     {moot: "no host goes by it"},

	"host": {moot: resolved}, "tag": {moot: resolved}, "ignoreunknown": {moot: resolved},
	"canonicaldomains": {moot: resolved}, "canonicalizefallbacklocal": {moot: resolved}, "canonicalizehostname": {moot: resolved},
	"canonicalizemaxdots": {moot: resolved}, "canonicalizepermittedcnames": {moot: resolved},

	"checkhostip": {moot: strictly}, "nohostauthenticationforlocalhost": {moot: strictly}, "verifyhostkeydns": {moot: strictly},
	"updatehostkeys": {moot: "rel adds no key that it did not check itself"},

	"kbdinteractiveauthentication": {moot: password}, "challengeresponseauthentication": {moot: password}, "kbdinteractivedevices": {moot: password},
	"passwordauthentication": {moot: password}, "numberofpasswordprompts": {moot: password},
	"hostbasedauthentication": {moot: password}, "hostbasedacceptedalgorithms": {moot: password}, "hostbasedkeytypes": {moot: password},
	"enablesshkeysign":     {moot: password},
	"gssapiauthentication": {moot: kerberos}, "gssapidelegatecredentials": {moot: kerberos}, "gssapikeyexchange": {moot: kerberos},
	"gssapitrustdns": {moot: kerberos}, "gssapirenewalforcesrekey": {moot: kerberos}, "gssapikexalgorithms": {moot: kerberos},
	"gssapiclientidentity": {moot: kerberos}, "gssapiserveridentity": {moot: kerberos},
	"addkeystoagent": {moot: "rel keeps a key that it was let into for itself, for the run"}, "usekeychain": {moot: "its keys are the agent's too"},
	"securitykeyprovider": {moot: "keys on tokens are the agent's to use"},

	"controlmaster": {moot: sharing}, "controlpath": {moot: sharing}, "controlpersist": {moot: sharing},

	"clearallforwardings": {moot: forwards}, "exitonforwardfailure": {moot: forwards}, "dynamicforward": {moot: forwards},
	"localforward": {moot: forwards}, "remoteforward": {moot: forwards}, "gatewayports": {moot: forwards}, "permitremoteopen": {moot: forwards},
	"forwardagent": {moot: forwards}, "forwardx11": {moot: forwards}, "forwardx11timeout": {moot: forwards}, "forwardx11trusted": {moot: forwards},
	"xauthlocation": {moot: forwards}, "streamlocalbindmask": {moot: forwards}, "streamlocalbindunlink": {moot: forwards},
	"tunnel": {moot: forwards}, "tunneldevice": {moot: forwards}, "channeltimeout": {moot: forwards},

	"enableescapecommandline": {moot: session}, "escapechar": {moot: session}, "forkafterauthentication": {moot: session},
	"localcommand": {moot: session}, "permitlocalcommand": {moot: session}, "obscurekeystroketiming": {moot: session},
	"remotecommand": {moot: session}, "requesttty": {moot: session}, "sessiontype": {moot: session}, "stdinnull": {moot: session},
	"sendenv": {moot: "scripts have an environment of their own"}, "setenv": {moot: "scripts have an environment of their own"},

	"fingerprinthash": {moot: display}, "loglevel": {moot: display}, "logverbose": {moot: display}, "syslogfacility": {moot: display},
	"visualhostkey": {moot: display}, "warnweakcrypto": {moot: display},
}

func yes(value string) bool {
	return strings.EqualFold(value, "yes") || strings.EqualFold(value, "true")
}

func list(value string) []string { return strings.Split(value, ",") }

func number(put func(*settings, int)) func(*settings, string) string {
	return func(s *settings, value string) string {
		n, err := strconv.Atoi(value)
		if err != nil {
			return "is no number"
		}
		put(s, n)
		return ""
	}
}

// seconds is number for durations, which ssh -G prints in seconds.
func seconds(put func(*settings, time.Duration)) func(*settings, string) string {
	whole := number(func(s *settings, n int) {
		// ssh's own is an int; more would overflow, and be a time before now.
		put(s, time.Duration(min(max(n, 0), math.MaxInt32))*time.Second)
	})
	return func(s *settings, value string) string {
		if value == "none" {
			return ""
		}
		return whole(s, value)
	}
}

// algorithms takes a list of which x/crypto has to know at least one: it passes over
// the others, and offers the rest in this order.
func algorithms(of func(*ssh.Config) *[]string) func(*settings, string) string {
	return func(s *settings, value string) string {
		*of(&s.crypto) = list(value)
		known := s.crypto
		known.SetDefaults()
		if len(*of(&known)) == 0 {
			return "leaves none that rel knows"
		}
		return ""
	}
}

func takeFamily(s *settings, value string) string {
	networks := map[string]string{"any": "tcp", "inet": "tcp4", "inet6": "tcp6"}
	if s.network = networks[strings.ToLower(value)]; s.network == "" {
		return "rel does not know"
	}
	return ""
}

func takeJumps(s *settings, value string) string {
	if !strings.EqualFold(value, "none") {
		s.jumps = list(value)
	}
	return ""
}

func takeProxyCommand(s *settings, value string) string {
	if value == "-" {
		return "would have rel speak to the host on its own input and output"
	}
	if !strings.EqualFold(value, "none") {
		s.proxyCommand = value
	}
	return ""
}

func takePublicKey(s *settings, value string) string {
	if strings.EqualFold(value, "no") || strings.EqualFold(value, "false") {
		s.publicKeysDisabled = true
	}
	return ""
}

func takePreferred(s *settings, value string) string {
	if !slices.Contains(list(value), "publickey") {
		s.publicKeysDisabled = true
	}
	return ""
}
