// Package serve is Nix's serve protocol: what `nix-store --serve` reads and writes,
// and what lies behind ssh:// stores.
//
// It is nothing but bytes. A server takes one request after the other and answers
// them strictly in that order, so requests are written one behind the other without
// waiting, by whoever has a way to a server, and the answers read as they come. Nix's
// own client waits after each.
//
// The numbers and forms are those of Nix's serve-protocol.hh and nix-store.cc
// (opServe), where they are the same from Nix 2.4 to 2.36; from 2.8 to 2.26 it was tried.
package serve

import (
	"bytes"
	"encoding/binary"
)

const (
	clientMagic = 0x390c9deb
	serverMagic = 0x5452eecb
	// version is what a server is told of its client: 2.6. From 2.4 on it answers with
	// the hash of a path, its signatures and content address; what came later is of builds.
	version = 2<<8 | 6
)

// The requests.
const (
	queryValidPaths = 1
	queryPathInfos  = 2
	dumpStorePath   = 3
	addToStoreNar   = 9
)

// Requests are written for a server. The zero value has none; Greet comes first.
type Requests struct{ buf bytes.Buffer }

// Bytes are the requests so far.
func (r *Requests) Bytes() []byte { return r.buf.Bytes() }

// Greet is the client's greeting. The answer is the server's.
func (r *Requests) Greet() {
	r.number(clientMagic)
	r.number(version)
}

// Valid asks which of the paths are valid; the answer is a list of paths. With lock,
// which a server has to be allowed to write for, the collector leaves them alone as
// long as that server runs, also those that are yet to come.
func (r *Requests) Valid(paths []string, lock bool) {
	r.number(queryValidPaths)
	if lock {
		r.number(1)
	} else {
		r.number(0)
	}
	r.number(0) // it need not look for them elsewhere
	r.list(paths)
}

// Infos asks what is known of the paths; the answer is a list of infos.
func (r *Requests) Infos(paths []string) {
	r.number(queryPathInfos)
	r.list(paths)
}

// Dump asks for a path as an archive. The answer is the archive, and nothing before or
// after it: its size is in the path's info.
func (r *Requests) Dump(path string) {
	r.number(dumpStorePath)
	r.text(path)
}

// Add brings a path. The archive has to follow, as large as the info says; the answer
// is an acknowledgement. A server refuses an archive with another hash, and ends.
func (r *Requests) Add(i *Info) {
	r.number(addToStoreNar)
	r.text(i.Path)
	r.text(i.Deriver)
	r.text(i.Hash)
	r.list(i.References)
	r.number(0) // when it was registered: now
	r.number(uint64(i.Size))
	r.number(0) // it was not built there
	r.list(i.Signatures)
	r.text(i.Address)
}

func (r *Requests) number(n uint64) {
	r.buf.Write(binary.LittleEndian.AppendUint64(nil, n))
}

// text is written with its length, and zeros to a multiple of eight.
func (r *Requests) text(s string) {
	r.number(uint64(len(s)))
	r.buf.WriteString(s)
	r.buf.Write(make([]byte, padding(len(s))))
}

func (r *Requests) list(texts []string) {
	r.number(uint64(len(texts)))
	for _, text := range texts {
		r.text(text)
	}
}

func padding(n int) int { return (8 - n%8) % 8 }
