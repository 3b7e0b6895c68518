package phases

import (
	"reflect"
	"strings"
	"testing"
)

func TestParsePackage(t *testing.T) {
	for name, want := range map[string]storeName{
		"openssl-3.0.13-bin":      {"openssl", "3.0.13", "bin"},
		"openssl-3.0.13":          {"openssl", "3.0.13", ""},
		"gcc-12.3.0-lib":          {"gcc", "12.3.0", "lib"},
		"python3.11-requests-2.3": {"python3.11-requests", "2.3", ""},
		"source":                  {"source", "", ""},
		"x-man":                   {"x", "", "man"},
		"unit-web.service":        {"unit-web.service", "", ""},
		"nix-2.18pre_1":           {"nix", "2.18pre_1", ""},
		"-":                       {"-", "", ""},
		"":                        {"", "", ""},
	} {
		path := storeDir + "/" + strings.Repeat("0", 32) + "-" + name
		if got := parsePackage(path); got != want {
			t.Errorf("%s is %+v", name, got)
		}
	}
}

func TestPackageChanges(t *testing.T) {
	at := func(hash, name string) string { return storeDir + "/" + strings.Repeat(hash, 32) + "-" + name }
	was := map[string]int64{at("a", "libc-2.38"): 10, at("a", "web-1"): 100, at("a", "web-1-man"): 5, at("a", "old-1"): 7, at("a", "conf"): 3}
	is := map[string]int64{at("a", "libc-2.38"): 10, at("b", "web-2"): 130, at("a", "new-3"): 20, at("b", "conf"): 3}
	want := []PackageChange{
		{Name: "conf", touched: true},
		{Name: "new", To: []string{"3"}, Added: true, Bytes: 20, touched: true},
		{Name: "old", From: []string{"1"}, Removed: true, Bytes: -7, touched: true},
		{Name: "web", From: []string{"1"}, To: []string{"2"}, Bytes: 25, touched: true},
	}
	if got := packageChanges(was, is); !reflect.DeepEqual(got, want) {
		t.Errorf("it is %+v", got)
	}
}
