package serve

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	// textCap is the longest text that is read: a store path has at most 211 characters
	// after the store's folder, a signature some hundred after its key's name.
	textCap = 4096
	// listCap is the most texts in a list. The closures of whole systems have some ten
	// thousand paths.
	listCap = 1 << 20
)

// ErrEnded says that a server has ended before it had answered. What it said of that is
// on its standard error.
var ErrEnded = errors.New("it ended before it had answered")

// Answers are read from a server, in the order of the requests.
type Answers struct{ in *bufio.Reader }

// NewAnswers reads the answers from in.
func NewAnswers(in io.Reader) *Answers { return &Answers{bufio.NewReader(in)} }

// Greeting reads what a server says first.
func (a *Answers) Greeting() error {
	magic, err := a.number()
	if err != nil {
		return err
	}
	if magic != serverMagic {
		return fmt.Errorf("it is no nix-store --serve that answers: it began with %#x", magic)
	}
	offered, err := a.number()
	if err == nil && (offered>>8 != version>>8 || offered < 2<<8|4) {
		err = fmt.Errorf("it speaks version %d.%d of the serve protocol; it takes 2.4 or later (Nix 2.4)", offered>>8, offered&0xff)
	}
	return err
}

// Paths reads a list of paths.
func (a *Answers) Paths() ([]string, error) { return a.list() }

// Added reads an acknowledgement.
func (a *Answers) Added() error {
	n, err := a.number()
	if err == nil && n != 1 {
		err = fmt.Errorf("it answered %d for a path that it was sent, not 1", n)
	}
	return err
}

// Infos reads a list of infos, in an order of the server's own.
func (a *Answers) Infos() ([]Info, error) {
	var list []Info
	for len(list) < listCap {
		info, err := a.info()
		if err != nil || info == nil {
			return list, err
		}
		list = append(list, *info)
	}
	return nil, fmt.Errorf("it answered with more than %d paths", listCap)
}

// info reads one, or nil at the end of the list.
func (a *Answers) info() (*Info, error) {
	var i Info
	var err error
	text := func(to *string) {
		if err == nil {
			*to, err = a.text()
		}
	}
	list := func(to *[]string) {
		if err == nil {
			*to, err = a.list()
		}
	}
	number := func() (n uint64) {
		if err == nil {
			n, err = a.number()
		}
		return n
	}
	if text(&i.Path); err != nil || i.Path == "" {
		return nil, err
	}
	text(&i.Deriver)
	list(&i.References)
	number() // how much there is to download
	i.Size = int64(number())
	text(&i.Hash)
	text(&i.Address)
	list(&i.Signatures)
	if err == nil {
		i.Hash, err = hexHash(i.Hash)
	}
	if err == nil && i.Size <= 0 {
		err = fmt.Errorf("it says that %s has %d bytes", i.Path, i.Size)
	}
	return &i, err
}

func (a *Answers) number() (uint64, error) {
	var b [8]byte
	if _, err := io.ReadFull(a.in, b[:]); err != nil {
		return 0, ended(err)
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}

func (a *Answers) text() (string, error) {
	n, err := a.number()
	if err != nil {
		return "", err
	}
	if n > textCap {
		return "", fmt.Errorf("it answered with a text of %d bytes", n)
	}
	b := make([]byte, int(n)+padding(int(n)))
	if _, err := io.ReadFull(a.in, b); err != nil {
		return "", ended(err)
	}
	return string(b[:n]), nil
}

func (a *Answers) list() ([]string, error) {
	n, err := a.number()
	if err != nil {
		return nil, err
	}
	if n > listCap {
		return nil, fmt.Errorf("it answered with a list of %d", n)
	}
	var list []string
	for range n {
		text, err := a.text()
		if err != nil {
			return nil, err
		}
		list = append(list, text)
	}
	return list, nil
}

func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrEnded
	}
	return err
}
