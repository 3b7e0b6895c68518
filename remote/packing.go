package remote

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strconv"
	"sync"
)

// sized is a text behind a line with its size, and its size as it is sent, if that is packed.
func sized(text string, packs bool) string {
	length := strconv.Itoa(len(text))
	if small := packed([]byte(text), packs); small != nil {
		return length + " " + strconv.Itoa(len(small)) + "\n" + string(small)
	}
	return length + "\n" + text
}

// beginning is what a shell is sent first: the runner. The line that unpacks it is read
// whole, or is not run. Of a runner that breaks off the shell runs a part, or nothing: it is
// functions and a loop that reads what comes, and nothing does.
func beginning(packs bool) string {
	if !packs {
		return runner
	}
	small := packedRunner()
	return fmt.Sprintf("eval \"$(head -c %d | gzip -dc)\"\n%s", len(small), small)
}

var packedRunner = sync.OnceValue(func() []byte { return zipped([]byte(runner)) })

// worthPacking is the size from which on it pays to have the host start a gzip.
const worthPacking = 512

// packed is the text with gzip; nil, if it is not to be.
func packed(text []byte, packs bool) []byte {
	if !packs || len(text) < worthPacking {
		return nil
	}
	return zipped(text)
}

func zipped(text []byte) []byte {
	var b bytes.Buffer
	zip, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // which is a level
	_, _ = zip.Write(text)                                  // to memory
	_ = zip.Close()
	return b.Bytes()
}
