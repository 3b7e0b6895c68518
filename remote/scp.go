package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	scp "github.com/bramvdbogaerde/go-scp"
	"golang.org/x/crypto/ssh"
)

// sendTimeout bounds the sending of a file of at most uploadCap bytes. The library
// waits for the host's answers, and not only for the connection.
const sendTimeout = 2 * time.Minute

// sinkScript is scp's receiving end. It is run as every script is: what a profile prints
// would be taken for scp's answer, and the library quotes the name for no shell.
const sinkScript = `# Take a file.
exec scp -qt "$TO"`

// send sends a file with scp. The library believes that it has a connection to itself.
func (h *Host) send(ctx context.Context, name string, data []byte) error {
	ctx, cancel := context.WithTimeoutCause(ctx, sendTimeout, fmt.Errorf("sending it took longer than %s", sendTimeout))
	defer cancel()
	input, to := io.Pipe()
	sink := &sink{PipeWriter: to, answers: answers{unread: make(chan byte, replyCap)}, requests: make(chan *ssh.Request, 1)}
	ran := make(chan error, 1)
	go func() {
		_, err := h.Run(ctx, Script{Name: "scp", Code: sinkScript, Env: map[string]string{"TO": name}, Stdin: input, Stdout: &sink.answers})
		input.CloseWithError(io.ErrClosedPipe)
		close(sink.answers.unread)
		sink.end(err)
		ran <- err
	}()
	client, err := scp.NewClientBySSH(&ssh.Client{Conn: sinkConn{sink: sink}})
	if err == nil {
		err = client.Copy(ctx, bytes.NewReader(data), name, "0600", int64(len(data)))
	}
	if err != nil {
		cancel()
	}
	// How scp ended tells more than that its answer was not understood.
	if failed := <-ran; failed != nil && !errors.Is(failed, context.Canceled) {
		return failed
	}
	return err
}

// replyCap is the most that scp may answer: a byte or a line for each thing that it is
// sent. The library reads a line to its end, wherever that is.
const replyCap = 8 << 10

// sinkConn is a connection with one channel.
type sinkConn struct {
	ssh.Conn
	sink *sink
}

func (c sinkConn) OpenChannel(string, []byte) (ssh.Channel, <-chan *ssh.Request, error) {
	return c.sink, c.sink.requests, nil
}

// sink is a channel to a scp that runs already. What is written to it goes to scp.
type sink struct {
	*io.PipeWriter
	answers  answers
	requests chan *ssh.Request
}

// SendRequest asks for the command, which runs.
func (s *sink) SendRequest(string, bool, []byte) (bool, error) { return true, nil }

// Read reads scp's answers.
func (s *sink) Read(b []byte) (int, error) {
	answer, ok := <-s.answers.unread
	if !ok {
		return 0, io.EOF
	}
	b[0] = answer
	return 1, nil
}

// answers are what scp answers, which need not be read: the library does not read the last.
type answers struct {
	unread chan byte
	total  int
}

func (a *answers) Write(b []byte) (int, error) {
	if a.total += len(b); a.total > replyCap {
		return 0, errors.New("it answers without end")
	}
	for _, answer := range b {
		a.unread <- answer
	}
	return len(b), nil
}

// CloseWrite ends scp's input, as Close does.
func (s *sink) CloseWrite() error { return s.Close() }

// Stderr is empty: Run keeps it.
func (s *sink) Stderr() io.ReadWriter { return new(bytes.Buffer) }

// end tells the library how scp ended.
func (s *sink) end(err error) {
	status := uint32(0)
	if err != nil {
		status = 1
	}
	s.requests <- &ssh.Request{Type: "exit-status", Payload: ssh.Marshal(struct{ Status uint32 }{status})}
	close(s.requests)
}
