package remote

import (
	"context"
	"errors"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// keyring offers a host the keys that the configuration allows, one by one and in
// OpenSSH's order (pubkey_prepare in its sshconnect2.c): the certificates of
// CertificateFile, the agent's keys that an IdentityFile names, its other keys
// (unless IdentitiesOnly), and the files. Keys are all that rel has to offer: a run
// opens several connections to a host, and nobody may be there to type.
type keyring struct {
	dialer   *Dialer
	settings *settings

	gathered bool
	// queue are the keys that are not offered yet, and all those that ever were in it.
	queue, all []*identity
	offered    []string
	skipped    []SkippedKey
	// wanted are the methods that the host goes on with; partial says that it has
	// taken a key already.
	wanted  []string
	partial bool
	// used is the fingerprint of the key that signed last.
	used string
}

// next is the key to offer next; nil if the host wants none, or none is left.
func (k *keyring) next(ctx context.Context, c *ssh.ClientAuthContext) ssh.AuthMethod {
	k.wanted, k.partial = c.AllowedMethods, len(c.PartialSuccessMethods) > 0
	if !slices.Contains(k.wanted, "publickey") {
		return nil
	}
	if !k.gathered {
		k.gathered = true
		k.gather(ctx)
	}
	for len(k.queue) > 0 && ctx.Err() == nil {
		id := k.queue[0]
		k.queue = k.queue[1:]
		if err := id.ready(); err != nil {
			k.skip(id.String(), err)
			continue
		}
		k.offered = append(k.offered, id.String())
		return ssh.PublicKeys(id)
	}
	return nil
}

func (k *keyring) gather(ctx context.Context) {
	if k.settings.publicKeysDisabled {
		k.skip("all keys", errors.New("PubkeyAuthentication or PreferredAuthentications turns them off"))
		return
	}
	if k.settings.pkcs11Provider != "" {
		k.skip("the keys of "+k.settings.pkcs11Provider, &curable{"rel does not speak PKCS#11", []string{"ssh-add", "-s", k.settings.pkcs11Provider}})
	}
	files := k.files(ctx)
	var named, others []*identity
	for _, held := range k.held(ctx) {
		i := slices.IndexFunc(files, func(id *identity) bool { return id.public != nil && same(id.public, held.public) })
		switch {
		case i >= 0:
			files = slices.Delete(files, i, i+1)
			named = append(named, held)
		case !k.settings.identitiesOnly:
			others = append(others, held)
		}
	}
	k.queue = slices.Concat(k.certificates(), named, others, files)
	k.all = k.queue
}

// skip notes a key that is not offered. A file that nobody has to have is none.
func (k *keyring) skip(key string, err error) {
	var cure *curable
	switch {
	case errors.Is(err, errNoFile):
	case errors.As(err, &cure):
		k.skipped = append(k.skipped, SkippedKey{Key: key, Reason: cure.reason, Cure: cure.command})
	default:
		k.skipped = append(k.skipped, SkippedKey{Key: key, Reason: oneLine(err.Error())})
	}
}

// curable says why a key is not offered, and which command changes that.
type curable struct {
	reason  string
	command []string
}

func (e *curable) Error() string { return e.reason }

// refusal says of a handshake that failed that it did so for the want of a key;
// nil if it failed otherwise.
func (k *keyring) refusal(err error) error {
	var unsigned *signError
	tooMany := strings.Contains(err.Error(), "Too many authentication failures")
	if !tooMany && !errors.As(err, &unsigned) && !strings.Contains(err.Error(), "unable to authenticate") {
		return nil
	}
	e := &AuthError{
		Host: k.settings.alias, User: k.settings.user, Address: k.settings.address(), ConfigFile: k.dialer.ConfigFile,
		Offered: k.offered, Skipped: k.skipped, TooMany: tooMany, Partial: k.partial,
	}
	for _, method := range k.wanted {
		if k.partial || !slices.Contains(k.wanted, "publickey") {
			e.Wanted = append(e.Wanted, oneLine(method))
		}
	}
	if i := slices.IndexFunc(k.settings.identityFiles, isFile); i >= 0 {
		e.KeyFile = k.settings.identityFiles[i]
	}
	return e
}

// algorithmsFor has the algorithms that the configuration lets a key sign with.
func (s *settings) algorithmsFor(key ssh.PublicKey) (list []string) {
	_, certified := key.(*ssh.Certificate)
	key = plain(key)
	if s.pubkeyAcceptedAlgorithms == nil && key.Type() != ssh.KeyAlgoRSA {
		return []string{key.Type()}
	}
	if s.pubkeyAcceptedAlgorithms == nil {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	for _, algorithm := range s.pubkeyAcceptedAlgorithms {
		name, ofCert := keyType(algorithm)
		if name != key.Type() || ofCert != certified {
			continue
		}
		if name == ssh.KeyAlgoRSA {
			name = strings.TrimSuffix(algorithm, "-cert-v01@openssh.com")
		}
		list = append(list, name)
	}
	return list
}
