package phases

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// FuzzManifest: what is read is what stands there, and written back it reads
// the same.
func FuzzManifest(f *testing.F) {
	f.Add([]byte("# comment\n\nA=$(touch /x)\nB=`id`;\"'\\n\nC=a=b\nD=\n"))
	f.Add([]byte("RELEASE_SHA=dc8876b\nVIBE_DESKTOP_BIN=/nix/store/x/bin/desktop"))
	f.Add([]byte("A=b\r\nB=c\r\r\n"))
	f.Add([]byte("A=\xff\x00\u202e\n"))
	f.Add([]byte("A=1\nA=2\n"))
	f.Add(append([]byte("A="), bytes.Repeat([]byte("x"), 70_000)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		values, err := ParseManifest(data)
		if err != nil {
			if values != nil {
				t.Errorf("a manifest that is refused gives away %v", values)
			}
			return
		}
		var b strings.Builder
		for _, key := range slices.Sorted(maps.Keys(values)) {
			row := key + "=" + values[key]
			if !slices.Contains(strings.Split(string(data), "\n"), row) {
				t.Errorf("no line is %q", row)
			}
			b.WriteString(row + "\n")
		}
		again, err := ParseManifest([]byte(b.String()))
		if err != nil || !maps.Equal(again, values) {
			t.Errorf("written back, %q reads as %q, %v", values, again, err)
		}
	})
}

// FuzzAnswer: a host may answer anything. Nothing of an answer that is taken is
// lost or made up, and what a look reads out of it stood there.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("uid=0\nuser=root\nsystemd=yes\nfree=1024\nlink=/opt/x\t/nix/store/y/bin/x\nunit=hypervisor\tLoadState=loaded ActiveState=active\n"))
	f.Add([]byte("pending=a\npending=b\nunguarded=a\nleft=90\nsince=2026-11-22T18:32:29Z\nreturned=c\tunhealthy\n"))
	f.Add([]byte("outcome={\"attempt\":1,\"result\":\"applied\"}\n"))
	f.Add([]byte("outcome=[\nunit=\nunit=\t=\nlink=\n"))
	f.Add([]byte("free=99999999999999999999\nleft=-99999999999999999999\n=x"))
	f.Add([]byte("a=\r\n\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		a, err := parseAnswer("prod", "look.sh", out)
		if err != nil {
			if a != nil || !strings.HasPrefix(err.Error(), "prod: look.sh answered ") {
				t.Errorf("got %v, %v", a, err)
			}
			return
		}
		var b strings.Builder
		for _, p := range a {
			fmt.Fprintf(&b, "%s=%s\n", p.key, p.value)
		}
		if got := b.String(); strings.TrimSuffix(got, "\n") != strings.TrimSuffix(string(out), "\n") {
			t.Errorf("%q was read as %q", out, got)
		}
		look, err := parseLook("prod", a)
		if err != nil {
			if !a.has("outcome") {
				t.Errorf("without an outcome, got %v", err)
			}
			return
		}
		checkLook(t, a, look)
	})
}

func checkLook(t *testing.T, a answer, look *Look) {
	for name, got := range map[string]int{"link": len(look.Links), "unit": len(look.Units), "recorded": len(look.Recorded)} {
		distinct := map[string]bool{}
		for _, row := range a.all(name) {
			thing, _, _ := strings.Cut(row, "\t")
			distinct[thing] = true
		}
		if got != len(distinct) {
			t.Errorf("of %d %ss, %d are known", len(distinct), name, got)
		}
	}
	if (look.Outcome != nil) != (a.get("outcome") != "") {
		t.Errorf("the outcome %q is %+v", a.get("outcome"), look.Outcome)
	}
	waits := a.all("pending")
	if look.Pending != "" && !slices.Contains(waits, look.Pending) {
		t.Errorf("%q waits, but only %q do", look.Pending, waits)
	}
	// What may go back by itself any moment must not be called safe to leave.
	left := a.all("unguarded")
	if look.Unguarded && slices.ContainsFunc(waits, func(id string) bool { return !slices.Contains(left, id) }) {
		t.Errorf("%q wait, %q of them unguarded, and all are said to be", waits, left)
	}
	if text := a.get("free"); len(text) < 15 && !strings.HasPrefix(text, "-") && look.Free < 0 {
		t.Errorf("free=%s is %d bytes", text, look.Free)
	}
}

// FuzzStorePath: what is taken for a store path can go into links and lists.
func FuzzStorePath(f *testing.F) {
	const path = "/nix/store/hlzr5a8a6mg6gdqnsdz3a8bm1j1fv3ji-desktop-1"
	for _, text := range []string{
		path, path + "/bin", path + "\n", path + "\xff", path + "\u00e9", "/nix/store/../etc/passwd", "/nix/store/" + strings.Repeat("..", 20),
		`[{"drvPath":"/nix/store/x.drv","outputs":{"out":"` + path + `"}}]`, `[{"outputs":{"bin":"` + path + `"}}]`,
		`[{"outputs":{"out":"` + path + `\n"}}]`, `[{"outputs":{"out":"` + path + `\u0000"}}]`, `[{"outputs":null}]`, `[null]`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		found := []string{}
		if isStorePath(string(text)) {
			found = append(found, string(text))
		}
		if path, err := outPath(text); err == nil {
			found = append(found, path)
		} else if path != "" {
			t.Errorf("%q is refused, and gives away %q", text, path)
		}
		for _, path := range found {
			name, ok := strings.CutPrefix(path, "/nix/store/")
			if !ok || len(name) < len("00000000000000000000000000000000-x") {
				t.Errorf("%q was taken", path)
			}
			for i := range len(name) {
				if !strings.Contains("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-._?=", name[i:i+1]) {
					t.Errorf("%q was taken, with the byte %q", path, name[i])
				}
			}
		}
	})
}
