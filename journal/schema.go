package journal

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"go.etcd.io/bbolt"
)

// Schema is the version of the bucket tree that this package writes. A file
// of a newer version is refused. One of an older is read as it is, and upgraded
// with the first event that is appended to it.
//
//	1  the first
//	2  the journal has an id, and says where its chain ends
const Schema = 2

// upgrades lead from a version to the next, of a file that stood as it says. An
// upgrade runs in the transaction of the append that it makes way for: it is on
// disk with it, or not at all.
var upgrades = map[int]func(*bbolt.Tx, standing) error{
	1: func(tx *bbolt.Tx, s standing) error {
		if s.id == "" {
			s.id = newIdentity()
		}
		return errors.Join(putIdentity(tx, s.id), putHead(tx, s.last.Hash))
	},
}

// NewerError says that the file was written by a newer rel.
type NewerError struct {
	Path   string
	Schema int
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("journal %s has schema %d; this rel knows up to %d", e.Path, e.Schema, Schema)
}

func initialize(tx *bbolt.Tx) error {
	for _, name := range [][]byte{bucketMeta, bucketEvents, bucketPromotions} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	return errors.Join(putIdentity(tx, newIdentity()), putHead(tx, Hash{}), putSchema(tx, Schema))
}

func upgrade(tx *bbolt.Tx, s standing) error {
	if s.schema == Schema {
		return nil
	}
	for version := s.schema; version < Schema; version++ {
		if err := upgrades[version](tx, s); err != nil {
			return fmt.Errorf("upgrade from schema %d: %w", version, err)
		}
	}
	return putSchema(tx, Schema)
}

// schema reads the version of a file that has been found to be a journal.
func (p *pages) schema() (int, error) {
	value, err := p.about.value(keySchema)
	if err != nil {
		return 0, err
	}
	version, err := strconv.Atoi(string(value))
	if err != nil || version < 1 {
		return 0, damagedf("it has no schema version")
	}
	return version, nil
}

func putSchema(tx *bbolt.Tx, version int) error {
	return tx.Bucket(bucketMeta).Put(keySchema, strconv.AppendInt(nil, int64(version), 10))
}

// checkSchema tells a journal that this package can read from anything else.
func (j *Journal) checkSchema(p *pages) error {
	for name, b := range map[string]**bucket{"meta": &p.about, "events": &p.events, "promotions": &p.promotions} {
		var err error
		if *b, _, err = p.top().bucket([]byte(name)); err != nil {
			return err
		} else if *b == nil {
			return damagedf("it is a database of something else")
		}
	}
	version, err := p.schema()
	if err != nil {
		return err
	}
	if version > Schema {
		return &NewerError{Path: j.path, Schema: version}
	}
	id, err := p.about.value(keyID)
	if err != nil {
		return err
	}
	if (version > 1) != (id != nil) {
		return damagedf("it has an id that its schema version does not know of, or none")
	}
	if version > 1 {
		_, err = p.identity()
	}
	return err
}

func newIdentity() string {
	var id [16]byte
	rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// identity is the journal's id. That of a file of schema 1 follows from its
// first event, so that going back to a backup from before the upgrade, and
// upgrading that, does not make another journal of it. Without an event it has
// none yet.
func (p *pages) identity() (string, error) {
	value, err := p.about.value(keyID)
	if err != nil {
		return "", err
	}
	if value != nil {
		id := value[min(len(value), sha256.Size):]
		if sum := sha256.Sum256(id); !bytes.Equal(value, append(sum[:], id...)) {
			return "", damagedf("its id is not what was written")
		}
		return string(id), nil
	}
	var first Event
	err = p.events.each(nil, func(e element) (_ bool, err error) {
		first, err = decode(e.key, e.value)
		return false, err
	})
	if err != nil || first.Seq == 0 {
		return "", err
	}
	return hex.EncodeToString(first.Hash[:16]), nil
}

func putIdentity(tx *bbolt.Tx, id string) error {
	sum := sha256.Sum256([]byte(id))
	return tx.Bucket(bucketMeta).Put(keyID, append(sum[:], id...))
}
