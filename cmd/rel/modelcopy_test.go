package main

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// archived is how large a path of a scripted host is as an archive.
const archived = 10 << 10

// wireText is a text of Nix's serve protocol, and wireNumber a number.
func wireText(text string) []byte {
	return append(append(wireNumber(uint64(len(text))), text...), make([]byte, (8-len(text)%8)%8)...)
}

func wireNumber(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }

// infos answers what nix-store --serve says of the paths.
func infos(paths []string, r *reply) {
	var packed bytes.Buffer
	text := base64.NewEncoder(base64.StdEncoding, &packed)
	zip := gzip.NewWriter(text)
	put := func(b []byte) { _, _ = zip.Write(b) }
	put(wireNumber(0x5452eecb))
	put(wireNumber(2<<8 | 6))
	for _, path := range paths {
		put(wireText(path))
		put(wireText(""))
		put(wireNumber(0))
		put(wireNumber(archived))
		put(wireNumber(archived))
		put(wireText("sha256:" + strings.Repeat("0", 52)))
		put(wireText(""))
		put(wireNumber(0))
	}
	put(wireText(""))
	zip.Close()
	text.Close()
	r.say("infos=%s", packed.String())
}

func known(c *call, _ *model, r *reply) { infos(c.rows(), r) }

// send writes the paths that it is told to, each with its archive.
func send(c *call, m *model) uint32 {
	rows := c.rows()
	if !whole(rows) {
		return 1
	}
	rows, err := unpackRows(rows[:len(rows)-1])
	if err != nil {
		return 1
	}
	fmt.Fprint(c.out, "none\n---\n")
	for _, row := range rows {
		if f := strings.Split(row, "\t"); f[0] == "path" {
			fmt.Fprintf(c.out, "%s\n%s", f[1], strings.Repeat("x", archived))
		}
	}
	if _, err := fmt.Fprintln(c.out, "end"); err != nil {
		return 1
	}
	return 0
}

// unpackRows are the rows of a cargo, which go with gzip and base64.
func unpackRows(lines []string) ([]string, error) {
	zip, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(strings.Join(lines, ""))))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(zip)
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"), err
}

// unpack takes each path that arrives whole, and fails if there is no end. It answers as
// nix-store does.
func unpack(c *call, m *model) uint32 {
	for _, want := range []string{"none\n", "---\n"} {
		if line, _ := c.in.ReadString('\n'); line != want {
			return 1
		}
	}
	answer := func(numbers ...uint64) {
		for _, n := range numbers {
			_, _ = c.out.Write(wireNumber(n))
		}
	}
	answer(0x5452eecb, 2<<8|6, 0)
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return 1
		}
		if line == "end\n" {
			break
		}
		if _, err := io.CopyN(io.Discard, c.in, archived); err != nil {
			return 1
		}
		m.mu.Lock()
		m.store[strings.TrimSuffix(line, "\n")] = true
		m.mu.Unlock()
		answer(1)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	closure := m.dir(c.env["ID"]).closure
	var valid []string
	for _, path := range closure {
		if m.store[path] {
			valid = append(valid, path)
		}
	}
	answer(uint64(len(valid)))
	for _, path := range valid {
		_, _ = c.out.Write(wireText(path))
	}
	return 0
}
