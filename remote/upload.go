package remote

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"path"
	"regexp"
	"strings"
)

//go:embed settle.sh
var settleScript string

// safePath are the remote names that go to scp.
var safePath = regexp.MustCompile(`^/[A-Za-z0-9._/+@%=-]+$`)

// uploadCap bounds what is held in memory to be sent.
const uploadCap = 1 << 20

// Upload puts data at the absolute path name, whole or not at all: it goes to a
// temporary name beside it, is compared there by size and SHA-256, synced, and
// renamed, all in one script.
func (h *Host) Upload(ctx context.Context, name string, data []byte, mode uint32) error {
	if !safePath.MatchString(name) || path.Clean(name) != name {
		return fmt.Errorf("%s: cannot upload to %q: only letters, digits and ._/+@%%=- are safe in its name", h.name, name)
	}
	if len(data) > uploadCap {
		return fmt.Errorf("%s: cannot upload %d bytes to %s: the most is %d", h.name, len(data), name, uploadCap)
	}
	encoded, err := encode(ctx, name, data)
	if err != nil {
		return fmt.Errorf("%s: %w", h.name, err)
	}
	temporary := path.Join(path.Dir(name), ".rel-"+strings.ToLower(rand.Text()))
	sum := sha256.Sum256(data)
	_, err = h.Run(ctx, Script{Name: "settle.sh", Code: settleScript, Root: true, Stdin: bytes.NewReader(encoded), Env: map[string]string{
		"BESIDE": temporary, "TO": name, "MODE": fmt.Sprintf("%04o", mode), "SHA256": hex.EncodeToString(sum[:]),
	}})
	return err
}
