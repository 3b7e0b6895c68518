package remote

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A line of a configuration is an indent, a keyword, what stands between it and its
// value, the value, and what follows that.
var (
	indents    = []string{"", " ", "\t"}
	separators = []string{" ", "\t", "=", " = ", "  "}
	endings    = []string{"", "", "", " ", " # x", "#x", "\r"}
	hosts      = []string{"prod", "web", "p*", "?rod", "prod?", "*", "!prod", "!w*", "\"prod\"", "x.example", "PROD"}
	lines      = map[string][]string{
		"HostName": {"x.example", "%h.y", "10.0.0.1", "::1", "X.Y", "\"q\"", "'q'"}, "User": {"a", "\"b c\"", "c"}, "Port": {"1", "2", "\"3\""},
		"IdentityFile": {"/a", "~/b", "/%n%h%p%r", "none", "\"/c d\"", "/e#f", "/g\\ h"}, "CertificateFile": {"/a", "~/b", "/%k"},
		"IdentitiesOnly": {"yes", "no", "YES", "true"}, "HostKeyAlias": {"k", "K"}, "IdentityAgent": {"none", "~/s", "SSH_AUTH_SOCK", "/%n"},
		"UserKnownHostsFile": {"/a", "/a /b", "~/a /%n", "none", "\"/a\" \"/b\"", "\"/a\""}, "GlobalKnownHostsFile": {"/a", "none", "~/g /h"},
		"StrictHostKeyChecking": {"yes", "no", "ask", "accept-new", "Off"}, "HashKnownHosts": {"yes", "no"}, "ConnectTimeout": {"3", "1m", "0"},
		"ProxyJump": {"j", "u@j:3", "i,j", "none", "%n-j", "[::1]:4"}, "ProxyCommand": {"nc %h %p", "none", "\"a\" b", "\"a\" \"b\"", "a 'b #c'", "a \\# b"},
		"AddressFamily": {"any", "inet", "INET6"}, "BindAddress": {"127.0.0.1", "::1"}, "ServerAliveInterval": {"1", "60"},
		"ConnectionAttempts": {"2"}, "TCPKeepAlive": {"yes", "no"}, "Compression": {"yes"}, "SendEnv": {"A 'B' \"C\""}, "Ciphers": {"aes128-ctr", "+aes128-cbc", "aes*"},
	}
)

// What is read without ssh is what ssh reads.
func TestFallbackAgrees(t *testing.T) {
	needSSH(t)
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		file := filepath.Join(dir, "config")
		lines := drawLines(t, "Include "+dir+"/mo*")
		for name, text := range map[string]string{file: lines, filepath.Join(dir, "more"): drawLines(t, "Port 9")} {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		to := destination{name: "prod", host: "prod", user: rapid.SampledFrom([]string{"", "u"}).Draw(t, "user")}
		without, err := readSettings(file, to)
		if err != nil {
			t.Skip(err)
		}
		with, err := resolve(t.Context(), file, to)
		if err != nil {
			t.Skip(err)
		}
		with.identityFiles = slices.DeleteFunc(with.identityFiles, func(name string) bool {
			return strings.HasSuffix(name, "/id_xmss") || strings.HasSuffix(name, "/id_dsa")
		})
		if got, want := summary(without), summary(with); !maps.Equal(got, want) {
			t.Errorf("%s\nwithout ssh: %v\nwith ssh: %v", lines, got, want)
		}
	})
}

// drawLines makes up a file, with this line somewhere in it.
func drawLines(t *rapid.T, line string) string {
	text := []string{line}
	for range rapid.IntRange(1, 8).Draw(t, "lines") {
		key := rapid.SampledFrom(slices.Sorted(maps.Keys(lines))).Draw(t, "key")
		value := rapid.SampledFrom(lines[key]).Draw(t, "value")
		if rapid.IntRange(0, 2).Draw(t, "host") == 0 {
			key, value = "Host", strings.Join(rapid.SliceOfN(rapid.SampledFrom(hosts), 1, 3).Draw(t, "hosts"), " ")
		}
		drawn := rapid.SampledFrom(indents).Draw(t, "indent") + key + rapid.SampledFrom(separators).Draw(t, "separator") + value + rapid.SampledFrom(endings).Draw(t, "ending")
		at := rapid.IntRange(0, len(text)).Draw(t, "at")
		text = slices.Insert(text, at, drawn)
	}
	return strings.Join(text, "\n") + "\n"
}
