package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What the README has for a build with Nix is an expression, and what it gives to
// buildGoModule is what make builds with.
func TestDocNix(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)\n```nix\n(.*?)```\n").FindSubmatch(text)
	if found == nil {
		t.Fatal("the README has no Nix expression")
	}
	nix, err := exec.LookPath("nix-instantiate")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "rel.nix")
	// In place of nixpkgs, what shows what it is called with.
	stub := `let pkgs = { lib.fakeHash = ""; fetchgit = a: a.rev; installShellFiles = "installShellFiles"; buildGoModule = a: a; }; in ` + string(found[1])
	if err := os.WriteFile(file, []byte(stub), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), nix, "--eval", "--strict", "--json", file)
	cmd.Env = append(os.Environ(), "HOME="+dir, "NIX_STATE_DIR="+dir, "NIX_STORE_DIR="+dir+"/store", "NIX_LOCALSTATE_DIR="+dir, "NIX_LOG_DIR="+dir, "NIX_CONF_DIR="+dir)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, err.(*exec.ExitError).Stderr) //nolint:errorlint // it is one
	}
	var got struct {
		PName               string
		SubPackages, Tags   []string
		LDFlags             []string
		Env                 map[string]int
		DoCheck             bool
		PostInstall, Src    string
		VendorHash, Version string
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	if got.PName != "rel" || !slices.Equal(got.SubPackages, []string{"cmd/rel"}) || got.DoCheck || got.Env["CGO_ENABLED"] != 0 ||
		!strings.Contains(string(makefile), "\nTAGS := "+strings.Join(got.Tags, ",")+"\n") ||
		!slices.Contains(got.LDFlags, "-X main.builtAs="+got.Version) {
		t.Errorf("it builds %+v", got)
	}
	for _, word := range []string{"rel.1", "rel.toml.5", "--bash <($out/bin/rel completion bash)", "--zsh", "--fish"} {
		if !strings.Contains(got.PostInstall, word) {
			t.Errorf("postInstall lacks %q", word)
		}
	}
}
