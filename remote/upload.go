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
	"time"

	scp "github.com/bramvdbogaerde/go-scp"
)

//go:embed settle.sh
var settleScript string

// safePath are the remote names that go to scp. The library quotes them as Go
// does, not as a shell does: $ and backticks would be live.
var safePath = regexp.MustCompile(`^/[A-Za-z0-9._/+@%=-]+$`)

// uploadCap bounds what is held in memory to be sent.
const uploadCap = 1 << 20

// Upload puts data at the absolute path name, whole or not at all: it goes to a
// temporary name beside it, is compared there by size and SHA-256, synced, and
// renamed. The library neither sends files atomically nor says why a host
// refused one, so nothing it reports is relied on.
func (h *Host) Upload(ctx context.Context, name string, data []byte, mode uint32) error {
	if !safePath.MatchString(name) || path.Clean(name) != name {
		return fmt.Errorf("%s: cannot upload to %q: only letters, digits and ._/+@%%=- are safe in its name", h.name, name)
	}
	if len(data) > uploadCap {
		return fmt.Errorf("%s: cannot upload %d bytes to %s: the most is %d", h.name, len(data), name, uploadCap)
	}
	temporary := path.Join(path.Dir(name), ".rel-"+strings.ToLower(rand.Text()))
	if h.Sudo {
		// scp writes as the login user, and that may not be allowed there.
		temporary = path.Join("/tmp", path.Base(temporary)+".sent")
	}
	sent := h.send(ctx, temporary, data)
	sum := sha256.Sum256(data)
	_, err := h.Run(ctx, Script{Name: "settle.sh", Code: settleScript, Root: true, Env: map[string]string{
		"FROM": temporary, "TO": name, "MODE": fmt.Sprintf("%04o", mode), "SHA256": hex.EncodeToString(sum[:]),
	}})
	if err != nil && sent != nil {
		return fmt.Errorf("%w; scp said: %s", err, strings.Join(strings.Fields(Clean(sent.Error())), " "))
	}
	return err
}

// sendTimeout bounds the sending of a file of at most uploadCap bytes. The library
// waits for the host's answers, and not only for the connection.
const sendTimeout = 2 * time.Minute

func (h *Host) send(ctx context.Context, name string, data []byte) error {
	ctx, cancel := context.WithTimeoutCause(ctx, sendTimeout, fmt.Errorf("sending it took longer than %s", sendTimeout))
	defer cancel()
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	client, err := scp.NewClientBySSH(h.client)
	if err != nil {
		return &LostError{Host: h.name, Err: err}
	}
	defer client.Close()
	done := make(chan error, 1)
	go func() { done <- client.Copy(ctx, bytes.NewReader(data), name, "0600", int64(len(data))) }()
	select {
	case err := <-done:
		return err
	case <-h.done: // which the library does not notice in every case: see bounded
		return &LostError{Host: h.name, Err: errEnded}
	}
}
