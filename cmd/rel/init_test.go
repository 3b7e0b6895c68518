package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestInitWithoutHosts: what can be known before a host is asked is.
func TestInitWithoutHosts(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.WriteFile("rel.toml", []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	hosts := []string{"--build", "b", "--target", "t", "--repo", "/r"}
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--stdout"}, "there is no terminal to ask on; missing: --build, --repo, --target"},
		{[]string{"--output", "new.toml", "--build", "b", "--target", "t"}, "missing: --repo"},
		{hosts, "rel.toml is there already: --force writes over it"},
		{[]string{"--stdout", "--build=-oProxyCommand=x", "--target", "t", "--repo", "/r"}, "is not a host: "},
		{[]string{"--stdout", "--build", "b", "--target", "t", "--target", "t", "--repo", "/r"}, `--target "t" is there twice`},
		{[]string{"--stdout", "--build", "b", "--target", "t", "--repo", "../r"}, `--repo "../r" is not an absolute path of letters, digits and . _ / + @ % = -`},
		{append(slices.Clone(hosts), "--app", "No App"), `--app "No App" is not a name of small letters`},
	} {
		o := alone(t, append([]string{"init"}, c.args...)...)
		if o.code != exitUsage || !strings.Contains(o.err, c.says) || o.out != "" {
			t.Errorf("%q: exit %d\n%s%s", c.args, o.code, o.out, o.err)
		}
	}
	if text, err := os.ReadFile("rel.toml"); err != nil || string(text) != "mine" {
		t.Errorf("the file has %q, %v", text, err)
	}
}

// TestInitWrites: a file appears whole, and not over one that came meanwhile.
func TestInitWrites(t *testing.T) {
	dir := t.TempDir()
	c := &initCmd{Output: filepath.Join(dir, "rel.toml")}
	if err := c.write([]byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := c.write([]byte("two")); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("got %v", err)
	}
	if text, _ := os.ReadFile(c.Output); string(text) != "one" {
		t.Errorf("it has %q", text)
	}
	c.Force = true
	if err := c.write([]byte("three")); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(c.Output); string(text) != "three" {
		t.Errorf("it has %q", text)
	}
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("there is %v", names)
	}
}
