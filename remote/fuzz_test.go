package remote

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzResolve: whatever ssh -G prints, what is taken says whole how to reach the
// host, and passes over nothing that rel cannot do.
func FuzzResolve(f *testing.F) {
	const head = "user deploy\nhostname 10.0.0.2\nport 2222\n"
	for _, text := range []string{
		head, head + "identityfile ~/.ssh/%n-%r-%h\nidentityfile /k\nidentitiesonly yes\nidentityagent none\n",
		head + "stricthostkeychecking off\nuserknownhostsfile /a /b\nglobalknownhostsfile /c\nconnecttimeout 7\n",
		head + "proxyjump a,b:22\nhostkeyalias k\n", head + "proxycommand nc %h %p\n", head + "proxycommand none\n",
		head + "proxycommand nc %h %p\nproxyusefdpass yes\n", head + "identityagent $X\nbindaddress ::1\nserveraliveinterval 99999999\n",
		head + "ciphers aes128-ctr,x\nmacs \nkexalgorithms y\n", head + "userknownhostsfile /a b ~c\nidentityfile none\nidentityfile ${HOME}/~\n",
		head + "knownhostscommand /x\n", head + "identityfile /100%\nidentityfile /%%\nidentityfile /%Z\n",
		head + "connecttimeout 9999999999\n", head + "connecttimeout -1\n", "user\nhostname\nport\n", "", "\n\n \x00",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseSettings(destination{name: "prod", host: "prod"}, text)
		if err != nil {
			var refused *ConfigError
			if !errors.As(err, &refused) || refused.Host != "prod" {
				t.Errorf("got %T (%v)", err, err)
			}
			return
		}
		if s.host == "" || s.port == "" || s.user == "" || strings.ContainsAny(s.host+s.port+s.user, "\n") {
			t.Errorf("it is reached as %q@%q:%q", s.user, s.host, s.port)
		}
		if !slices.Contains([]string{"yes", "ask", "accept-new", "no"}, s.strict) {
			t.Errorf("host keys are checked as %q", s.strict)
		}
		if s.connectTimeout < 0 {
			t.Errorf("it may take %s to connect", s.connectTimeout)
		}
		var identities []string
		for line := range strings.SplitSeq(text, "\n") {
			key, value, _ := strings.Cut(line, " ")
			key = strings.ToLower(key)
			if key == "proxyusefdpass" && value == "yes" && s.proxyCommand != "" {
				t.Errorf("%q was passed over", line)
			}
			if key == "identityfile" && !strings.EqualFold(value, "none") && !slices.Contains(identities, value) {
				identities = append(identities, value)
			}
		}
		if len(identities) != len(s.identityFiles) {
			t.Fatalf("%q became %q", identities, s.identityFiles)
		}
		for i, value := range identities {
			if got := s.identityFiles[i]; !strings.ContainsAny(value, "%$~") && got != value {
				t.Errorf("%q became %q", value, got)
			} else if strings.HasPrefix(got, "~/") {
				t.Errorf("%q is still %q", value, got)
			}
		}
	})
}

// FuzzDestination: no alias becomes an option of ssh, or a word of a shell.
func FuzzDestination(f *testing.F) {
	for _, alias := range []string{"prod", "root@prod:2222", "root@[::1]:22", "fe80::1", "-oProxyCommand=x", "a@-oX", "@", "a@b@c", "-x@h", "[-o]:22", "",
		"ssh://a@b:22/", "ssh://a;x=1@[::1]:22", "ssh://-l@b", "ssh://b/path", "a`x`@b", "b;id", "$(id)", "a\nb", "ssh://a%0ab@c", "fe80::1%eth0"} {
		f.Add(alias)
	}
	f.Fuzz(func(t *testing.T, alias string) {
		to, err := parseDestination(alias)
		if err != nil {
			var refused *ConfigError
			if !errors.As(err, &refused) || strings.ContainsFunc(err.Error(), isUnsafe) {
				t.Errorf("%q: %q", alias, err)
			}
			return
		}
		if strings.ContainsAny(to.host, "`'\"\\$;&<>|(){} \n\t") || strings.ContainsAny(to.user, "`'\";&<>|(){}\n\t") || strings.Trim(to.port, "0123456789") != "" {
			t.Errorf("%q is %q@%q:%q", alias, to.user, to.host, to.port)
		}
		args := resolveArgs("", to)
		n := len(args)
		if host := args[n-1]; args[n-2] != "--" || host == "" || host[0] == '-' {
			t.Errorf("%q became %q", alias, args)
		}
		// Between the first four and --, there are an option and its value, or two.
		for i := 4; i < n-2; i += 2 {
			if args[i] != "-l" && args[i] != "-p" || i+1 >= n-2 || strings.HasPrefix(args[i+1], "-") {
				t.Errorf("%q became %q", alias, args)
			}
		}
	})
}

// isUnsafe: what a terminal would act on, or hide.
func isUnsafe(r rune) bool {
	return r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r))
}

// FuzzClean: what is clean is safe to show, and stays as it is; text that was
// clean before is not touched. Lines do not depend on how they arrive.
func FuzzClean(f *testing.F) {
	for _, text := range []string{
		"plain\ttext\n", "\x1b[2J\x1b[1;31mred\x1b[0m", "\x1b]0;title\x07text", "a\rb\x00c\x07d\x08e\x7f", "\u009b31mC1", "\x9b31m",
		"bidi \u202eevil\u2066", "bad \xff utf8 \xc3", "wide 漢字 ✔ e\u0301", "\x1b\x1b[[mm", "\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\",
		"\x1b[", "\x1bP", "\u0600\u00ad\ufeff", "progress 1\rprogress 2\r\n", "\x1b]52;c;\n aGk=",
	} {
		f.Add(text, 3)
	}
	f.Fuzz(func(t *testing.T, text string, cut int) {
		clean := Clean(text)
		if !utf8.ValidString(clean) || strings.ContainsFunc(clean, isUnsafe) {
			t.Errorf("%q became %q, which is not safe", text, clean)
		}
		if again := Clean(clean); again != clean {
			t.Errorf("%q became %q, and that %q", text, clean, again)
		}
		if utf8.ValidString(text) && !strings.ContainsFunc(text, isUnsafe) && clean != text {
			t.Errorf("%q was clean, and became %q", text, clean)
		}
		at := min(max(cut, 0), len(text))
		whole, pieces := linesOf(t, text), linesOf(t, text[:at], text[at:])
		if !slices.Equal(whole, pieces) {
			t.Errorf("the lines of %q are %q, cut at %d %q", text, whole, at, pieces)
		}
	})
}

func linesOf(t *testing.T, writes ...string) []string {
	t.Helper()
	var list []string
	w := &lineWriter{emit: func(line string) { list = append(list, line) }}
	for _, text := range writes {
		if n, err := w.Write([]byte(text)); n != len(text) || err != nil {
			t.Errorf("wrote %d of %d bytes, %v", n, len(text), err)
		}
	}
	w.flush()
	for _, line := range list {
		// U+FFFD is three bytes, and stands for at least one.
		if strings.Contains(line, "\n") || strings.TrimSpace(line) == "" || len(line) > 3*LineCap || strings.ContainsFunc(line, isUnsafe) {
			t.Errorf("%q is no line", line)
		}
	}
	if len(w.tail) > tailLines || !slices.Equal(w.tail, list[len(list)-len(w.tail):]) {
		t.Errorf("the last lines of %q are %q", list, w.tail)
	}
	return list
}
