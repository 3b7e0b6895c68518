package remote

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

	scp "github.com/bramvdbogaerde/go-scp"
	"golang.org/x/crypto/ssh"
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
	if h.Become != nil {
		// scp writes as the login user, and that may not be allowed there.
		temporary = path.Join("/tmp", path.Base(temporary)+".sent")
	}
	sent := h.send(ctx, temporary, data)
	sum := sha256.Sum256(data)
	_, err := h.Run(ctx, Script{Name: "settle.sh", Code: settleScript, Root: true, Env: map[string]string{
		"FROM": temporary, "TO": name, "MODE": fmt.Sprintf("%04o", mode), "SHA256": hex.EncodeToString(sum[:]),
	}})
	if err != nil && sent != nil {
		return fmt.Errorf("%w; scp said: %s", err, clip(oneLine(sent.Error())))
	}
	return err
}

// sendTimeout bounds the sending of a file of at most uploadCap bytes. The library
// waits for the host's answers, and not only for the connection.
const sendTimeout = 2 * time.Minute

func (h *Host) send(ctx context.Context, name string, data []byte) error {
	ctx, cancel := context.WithTimeoutCause(ctx, sendTimeout, fmt.Errorf("sending it took longer than %s", sendTimeout))
	defer cancel()
	seat, err := h.seat(ctx)
	if err != nil {
		return err
	}
	defer h.seats.leave()
	defer seat.channel.Close()
	seat.channel = &terse{Channel: seat.channel, left: replyCap}
	client, err := scp.NewClientBySSH(seat.client())
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

// replyCap is the most that scp may answer: a byte or a line for each thing that it is
// sent. The library reads a line to its end, wherever that is.
const replyCap = 8 << 10

// terse is a channel of which no more is read than there may be.
type terse struct {
	ssh.Channel
	left int
}

func (c *terse) Read(b []byte) (int, error) {
	if c.left == 0 {
		c.Close()
		return 0, errors.New("it answers without end")
	}
	n, err := c.Channel.Read(b[:min(len(b), c.left)])
	c.left -= n
	return n, err
}
