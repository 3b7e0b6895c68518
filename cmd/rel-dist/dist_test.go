package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var when = time.Unix(1_700_000_000, 0).UTC()

// The bytes do not depend on the order in which files come, and nothing is told of who made
// the archive.
func TestTarball(t *testing.T) {
	list := []entry{{"b", 0o644, []byte("two")}, {"a/c", 0o755, []byte("one")}}
	first, err := tarball("rel-1", list, when)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(list)
	second, err := tarball("rel-1", list, when)
	if err != nil || !bytes.Equal(first, second) {
		t.Error("the order of the files changes the archive")
	}
	zip, err := gzip.NewReader(bytes.NewReader(first))
	if err != nil {
		t.Fatal(err)
	}
	if !zip.ModTime.IsZero() || zip.Name != "" {
		t.Errorf("gzip tells of %v, %q", zip.ModTime, zip.Name)
	}
	var got []string
	for r := tar.NewReader(zip); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		content, _ := io.ReadAll(r)
		got = append(got, fmt.Sprintf("%s %o %d:%d%s%s %d %s", h.Name, h.Mode, h.Uid, h.Gid, h.Uname, h.Gname, h.ModTime.Unix(), content))
	}
	if want := []string{"rel-1/a/c 755 0:0 1700000000 one", "rel-1/b 644 0:0 1700000000 two"}; !slices.Equal(got, want) {
		t.Errorf("it has %q, want %q", got, want)
	}
}

func TestChecksums(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b", "a"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("abc"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := checksums(dir); err != nil {
		t.Fatal(err)
	}
	const sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	if got, _ := os.ReadFile(filepath.Join(dir, "SHA256SUMS")); string(got) != sum+"  a\n"+sum+"  b\n" {
		t.Errorf("SHA256SUMS is %s", got)
	}
}

// All modules that rel is made of have a licence that is known, and it is what people take
// it to be.
func TestLicences(t *testing.T) {
	want := map[string]string{"github.com/alecthomas/kong": "MIT", "github.com/bramvdbogaerde/go-scp": "MPL-2.0", "github.com/google/renameio/v2": "Apache-2.0",
		"golang.org/x/crypto": "BSD-3-Clause", "go.etcd.io/bbolt": "MIT"}
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Dir}}{{end}}{{end}}", "../rel")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		path, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
		p, err := licensed(part{Path: path}, dir)
		if err != nil || want[path] != "" && p.License != want[path] {
			t.Errorf("%s: %q, want %q: %v", path, p.License, want[path], err)
		}
		delete(want, path)
	}
	if len(want) > 0 {
		t.Errorf("rel is not made of %v", want)
	}
	if got := spdx("All rights reserved. Ask us."); got != "" {
		t.Errorf("what is no licence is %s", got)
	}
}

func TestSBOM(t *testing.T) {
	parts := []part{{Path: "std", Version: "1.26.0", License: "BSD-3-Clause"}, {Path: "example.org/a", Version: "v1.2.3", Sum: "h1:abc=", License: "MIT"}}
	text, err := sbom("v1.0.0", system{"linux", "arm64"}, when, "go1.26.0", []byte("abc"), parts)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := sbom("v1.0.0", system{"linux", "arm64"}, when, "go1.26.0", []byte("abc"), parts)
	if !bytes.Equal(text, again) {
		t.Error("it is another one the second time")
	}
	var d document
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		t.Fatal(err)
	}
	// The forms that the schema of CycloneDX 1.5 asks for.
	if !regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(d.Serial) {
		t.Errorf("the serial number is %s", d.Serial)
	}
	if d.Format != "CycloneDX" || d.Spec != "1.5" || d.Metadata.Timestamp != "2023-11-14T22:13:20Z" || len(d.Components) != 2 ||
		d.Components[1].PURL != "pkg:golang/example.org/a@v1.2.3" || d.Components[1].Licenses[0].License.ID != "MIT" ||
		!slices.Equal(d.Dependencies[0].On, []string{"pkg:golang/std@1.26.0", "pkg:golang/example.org/a@v1.2.3"}) {
		t.Errorf("it is\n%s", text)
	}
}
