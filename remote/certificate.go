package remote

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"
)

// certificates are those of CertificateFile.
func (k *keyring) certificates() (list []*identity) {
	for _, name := range k.settings.certificateFiles {
		cert, ok := publicHalf(name).(*ssh.Certificate)
		if !ok {
			k.skip(name, errors.New("there is no certificate in it"))
			continue
		}
		list = append(list, k.certified(cert, name, name))
	}
	return list
}

// certified is a certificate that is to be offered. The key that signs for it is
// looked for among all that there are.
func (k *keyring) certified(cert *ssh.Certificate, origin, file string) *identity {
	id := &identity{keyring: k, public: cert, origin: origin, file: file}
	id.usable = func() error {
		private := k.private(id)
		if private == nil {
			return errors.New("its key is neither in the agent nor in a file of the configuration")
		}
		err := private.usable()
		if err == errNoFile {
			return fmt.Errorf("there is no %s", private.file)
		}
		return err
	}
	id.signer = func() (ssh.Signer, error) { return k.private(id).signer() }
	return id
}

// private is the key that a certificate is for; nil if there is none. Where the
// key does not show its public half, the names of the files tell.
func (k *keyring) private(cert *identity) *identity {
	find := func(is func(*identity) bool) *identity {
		if i := slices.IndexFunc(k.all, is); i >= 0 {
			return k.all[i]
		}
		return nil
	}
	if id := find(func(id *identity) bool { return id.public != nil && same(id.public, plain(cert.public)) }); id != nil {
		return id
	}
	return find(func(id *identity) bool {
		return id.public == nil && slices.Contains([]string{id.file, id.file + ".pub", id.file + "-cert.pub"}, cert.file)
	})
}

// current refuses a certificate that no host can take.
func current(cert *ssh.Certificate) error {
	now := uint64(time.Now().Unix())
	switch {
	case cert.CertType != ssh.UserCert:
		return errors.New("it is a host's certificate")
	case now < cert.ValidAfter:
		return fmt.Errorf("it is not valid before %s", moment(cert.ValidAfter))
	case now >= cert.ValidBefore:
		return fmt.Errorf("it expired on %s", moment(cert.ValidBefore))
	}
	return nil
}

func moment(seconds uint64) string {
	return time.Unix(int64(min(seconds, math.MaxInt64)), 0).UTC().Format(time.RFC3339)
}
