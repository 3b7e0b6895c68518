package remote

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"
)

// identity is a key that may be offered. It is a signer that asks for what it needs,
// a passphrase or a touch, only once the host has said that the key will do.
type identity struct {
	keyring *keyring
	// public is nil for a file that shows it only when it is unlocked.
	public ssh.PublicKey
	// origin says where the key is: in the agent, by its comment, or in a file.
	origin string
	// file is the IdentityFile or CertificateFile; empty for the agent's other keys.
	file string
	// usable says whether there is any use in offering it.
	usable func() error
	signer func() (ssh.Signer, error)
}

func (i *identity) String() string {
	if i.public == nil {
		return i.origin
	}
	return fmt.Sprintf("%s %s (%s)", i.public.Type(), ssh.FingerprintSHA256(plain(i.public)), i.origin)
}

// ready says why the key is not to be offered.
func (i *identity) ready() error {
	if err := i.usable(); err != nil {
		return err
	}
	if i.public == nil {
		signer, err := i.signer()
		if err != nil {
			return err
		}
		i.public = signer.PublicKey()
	}
	if cert, ok := i.public.(*ssh.Certificate); ok {
		if err := current(cert); err != nil {
			return err
		}
	}
	if len(i.Algorithms()) == 0 {
		return fmt.Errorf("PubkeyAcceptedAlgorithms leaves %s out", i.public.Type())
	}
	return i.keyring.settings.longEnough(plain(i.public))
}

func (i *identity) PublicKey() ssh.PublicKey { return i.public }

// Algorithms lets RSA keys sign with SHA-2: servers refuse SHA-1.
func (i *identity) Algorithms() []string { return i.keyring.settings.algorithmsFor(i.public) }

func (i *identity) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return i.SignWithAlgorithm(rand, data, "")
}

// SignWithAlgorithm is called once the host has said that the key will do.
func (i *identity) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	signature, err := i.sign(rand, data, algorithm)
	k := i.keyring
	if err != nil {
		k.offered = slices.DeleteFunc(k.offered, func(key string) bool { return key == i.String() })
		k.skip(i.String(), err)
		return nil, &signError{err}
	}
	k.used = ssh.FingerprintSHA256(plain(i.public))
	return signature, nil
}

// signError says that a key that the host would have taken did not sign.
type signError struct{ error }

func (i *identity) sign(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	signer, err := i.signer()
	if err != nil {
		return nil, err
	}
	if !same(plain(signer.PublicKey()), plain(i.public)) {
		return nil, errors.New("its public half is that of another key")
	}
	if strings.HasPrefix(i.public.Type(), "sk-") {
		i.keyring.dialer.say("touch your key for " + i.keyring.settings.alias)
	}
	if signer, ok := signer.(ssh.AlgorithmSigner); ok {
		return signer.SignWithAlgorithm(rand, data, algorithm)
	}
	return signer.Sign(rand, data)
}

// errNoFile is of the keys that OpenSSH looks for where no IdentityFile is
// configured: nobody has to have them.
var errNoFile = errors.New("there is no such file")

func isDefault(name string) bool {
	defaults := []string{"id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk", "id_xmss", "id_dsa"}
	return filepath.Base(filepath.Dir(name)) == ".ssh" && slices.Contains(defaults, filepath.Base(name))
}

// files are the keys of IdentityFile, each with the certificate beside it unless
// CertificateFile names others.
func (k *keyring) files(ctx context.Context) (list []*identity) {
	for _, name := range k.settings.identityFiles {
		if name == "none" {
			continue
		}
		id := &identity{keyring: k, public: publicHalf(name), origin: name, file: name}
		id.usable = func() error { return k.usable(name, id.public) }
		id.signer = func() (ssh.Signer, error) { return k.load(ctx, name) }
		list = append(list, id)
		if cert, ok := publicHalf(name + "-cert").(*ssh.Certificate); ok && len(k.settings.certificateFiles) == 0 {
			list = append(list, k.certified(cert, name+"-cert.pub", name))
		}
	}
	return list
}

// usable says why a key file will not do, before it is offered.
func (k *keyring) usable(name string, public ssh.PublicKey) error {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist) && public != nil, err == nil && isPublic(name):
		return errors.New("only its public half is here, and the agent does not hold it")
	case errors.Is(err, fs.ErrNotExist) && isDefault(name):
		return errNoFile
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("there is no such file")
	case err != nil:
		return err
	case public != nil && strings.HasPrefix(public.Type(), "sk-"):
		return &curable{"a key on a FIDO token signs through the agent alone", []string{"ssh-add", name}}
	case tooOpen(info):
		return &curable{fmt.Sprintf("others may read it (%04o): ssh ignores such a key, and so does rel", info.Mode().Perm()),
			[]string{"chmod", "600", name}}
	}
	_, err = parseKey(name)
	var encrypted *ssh.PassphraseMissingError
	if !errors.As(err, &encrypted) {
		return err
	}
	if !k.dialer.asks(k.settings) {
		return &curable{"it is encrypted, and there is nobody to ask for its passphrase", []string{"ssh-add", name}}
	}
	return nil
}

// tooOpen reports whether OpenSSH holds the permissions of a key file for too open
// (sshkey_perm_ok in its authfile.c).
func tooOpen(info fs.FileInfo) bool {
	owner, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(owner.Uid) == os.Getuid() && info.Mode().Perm()&0o077 != 0
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

func isPublic(name string) bool {
	text, err := os.ReadFile(name)
	if err != nil {
		return false
	}
	_, _, _, _, err = ssh.ParseAuthorizedKey(text)
	return err == nil
}

func parseKey(name string) (ssh.Signer, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return ssh.ParsePrivateKey(text)
}

// load reads a private key, and asks for its passphrase if it has one.
func (k *keyring) load(ctx context.Context, name string) (ssh.Signer, error) {
	signer, err := parseKey(name)
	var encrypted *ssh.PassphraseMissingError
	if errors.As(err, &encrypted) {
		return k.dialer.unlock(ctx, name)
	}
	return signer, err
}

// phrases is how often a passphrase may be mistyped, as with OpenSSH.
const phrases = 3

// unlock asks for a passphrase once for all connections of the run: heartbeats and
// confirmations have their own.
func (d *Dialer) unlock(ctx context.Context, name string) (ssh.Signer, error) {
	d.unlocking.Lock()
	defer d.unlocking.Unlock()
	locked := &curable{"it is encrypted, and was not unlocked", []string{"ssh-add", name}}
	if signer, asked := d.unlocked[name]; signer != nil {
		return signer, nil
	} else if asked || d.Ask == nil {
		return nil, locked
	}
	if d.unlocked == nil {
		d.unlocked = map[string]ssh.Signer{}
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	for range phrases {
		phrase, err := d.Ask(ctx, fmt.Sprintf("Passphrase for %s: ", name), true)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, locked // nobody was there, who may be the next time
		}
		if phrase == "" {
			break
		}
		signer, err := ssh.ParsePrivateKeyWithPassphrase(text, []byte(phrase))
		if err == nil {
			d.unlocked[name] = signer
			return signer, nil
		}
		if !errors.Is(err, x509.IncorrectPasswordError) {
			return nil, err
		}
		if ctx.Err() != nil { // nobody waits for it any more
			return nil, locked
		}
	}
	d.unlocked[name] = nil
	return nil, locked
}

// publicHalf reads the public half of a key: from the private file, which shows it
// also where it is encrypted, from a file that is it, or from the one beside it. It is
// nil if none has it.
func publicHalf(name string) ssh.PublicKey {
	for _, candidate := range []string{name, name + ".pub"} {
		text, err := os.ReadFile(candidate)
		if err != nil {
			continue
		}
		if key := shown(text); key != nil {
			return key
		}
		if key, _, _, _, err := ssh.ParseAuthorizedKey(text); err == nil {
			return key
		}
	}
	return nil
}

// shown is the public half that a private key of OpenSSH's own format shows
// (its PROTOCOL.key); nil for those of other formats.
func shown(text []byte) ssh.PublicKey {
	const magic = "openssh-key-v1\x00"
	block, _ := pem.Decode(text)
	if block == nil || !strings.HasPrefix(string(block.Bytes), magic) {
		return nil
	}
	var file struct {
		Cipher, KDF, Options string
		Keys                 uint32
		Public               []byte
		Rest                 []byte `ssh:"rest"`
	}
	if ssh.Unmarshal(block.Bytes[len(magic):], &file) != nil {
		return nil
	}
	key, err := ssh.ParsePublicKey(file.Public)
	if err != nil {
		return nil
	}
	return key
}
