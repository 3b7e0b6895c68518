package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// The parts list is CycloneDX 1.5, as JSON; these are the members
// that are used here.
type document struct {
	Schema       string       `json:"$schema"`
	Format       string       `json:"bomFormat"`
	Spec         string       `json:"specVersion"`
	Serial       string       `json:"serialNumber"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Timestamp string    `json:"timestamp"`
	Component component `json:"component"`
}

type component struct {
	Type       string     `json:"type"`
	Ref        string     `json:"bom-ref"`
	Name       string     `json:"name"`
	Version    string     `json:"version"`
	Hashes     []hash     `json:"hashes,omitempty"`
	Licenses   []license  `json:"licenses,omitempty"`
	PURL       string     `json:"purl,omitempty"`
	Properties []property `json:"properties,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type license struct {
	License struct {
		ID string `json:"id"`
	} `json:"license"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type dependency struct {
	Ref string   `json:"ref"`
	On  []string `json:"dependsOn"`
}

// sbom is the parts list of a binary. It has no number drawn at random: its serial number is
// made of what it lists.
func sbom(version string, s system, made time.Time, toolchain string, binary []byte, parts []part) ([]byte, error) {
	sum := sha256.Sum256(binary)
	self := part{Path: "choir.chat/rel", Version: version, License: "MIT"}.component("application")
	self.Hashes = []hash{{"SHA-256", hex.EncodeToString(sum[:])}}
	self.Properties = []property{{"rel:os", s.os}, {"rel:arch", s.arch}, {"rel:go", toolchain}}
	d := document{
		Schema: "http://cyclonedx.org/schema/bom-1.5.schema.json", Format: "CycloneDX", Spec: "1.5", Serial: uuid(sum), Version: 1,
		Metadata:     metadata{Timestamp: made.Format(time.RFC3339), Component: self},
		Dependencies: []dependency{{Ref: self.Ref}},
	}
	for _, p := range parts {
		c := p.component("library")
		d.Components = append(d.Components, c)
		d.Dependencies[0].On = append(d.Dependencies[0].On, c.Ref)
	}
	text, err := json.MarshalIndent(d, "", "  ")
	return append(text, '\n'), err
}

func (p part) component(kind string) component {
	c := component{Type: kind, Name: p.Path, Version: p.Version, PURL: "pkg:golang/" + p.Path + "@" + p.Version}
	c.Ref = c.PURL
	c.Licenses = make([]license, 1)
	c.Licenses[0].License.ID = p.License
	// The sum of go.sum is that of a module's files, and no hash of one file.
	if p.Sum != "" {
		c.Properties = []property{{"rel:go.sum", p.Sum}}
	}
	return c
}

// uuid is a URN of the form of RFC 9562's version 8: its bits are of our making.
func uuid(sum [sha256.Size]byte) string {
	b := sum[:16]
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}
