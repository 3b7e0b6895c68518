package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"os"
	"syscall"
)

// state tells one content of the file from another without reading all of it: a
// hash of both tables of contents, of the list of free pages, and of what the file
// system says of the file.
type state [sha256.Size]byte

func (p *pages) state(info os.FileInfo) (state, error) {
	hash := sha256.New()
	number := func(n int64) { hash.Write(binary.BigEndian.AppendUint64(nil, uint64(n))) }
	for _, page := range []int64{0, int64(p.pageSize)} {
		var head [80]byte
		if _, err := p.file.ReadAt(head[:], page); err != nil {
			return state{}, err
		}
		hash.Write(head[:])
	}
	hash.Write(p.list)
	number(info.Size())
	number(info.ModTime().UnixNano())
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		number(int64(stat.Dev)) //nolint:unconvert // their types differ between systems
		number(int64(stat.Ino)) //nolint:unconvert // as above
		number(changed(stat))
	}
	return state(hash.Sum(nil)), nil
}

// checkWhole is for who is about to write. bbolt takes the pages it writes to from
// the list of free ones: were one of these in use, history would be written over.
// So all pages are walked, unless this state of the file was found whole before, or
// was written from one that was. What is not walked then is looked at where it is
// read, and whatever is written was read first: a page that the disk has changed
// since is found by whoever gets to it, or by a walk over everything, which is
// [Journal.Verify] and comes before each backup.
//
// The walk takes a second for each some hundred thousand pages, which is nothing
// once, but not for each of the events that a promotion records, and after years
// not for each command.
func (j *Journal) checkWhole(file *os.File, p *pages) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	now, err := p.state(info)
	if err != nil {
		return err
	}
	if mine := j.whole.Load(); mine != nil && *mine == now {
		return nil
	}
	if j.isNote() {
		if note, err := os.ReadFile(j.wholePath()); err == nil && bytes.Equal(note, now[:]) {
			return nil
		}
	}
	j.walks.Add(1)
	if err := p.check(); err != nil {
		return err
	}
	j.keep(now)
	return nil
}

// wholePath is where a state that was found whole is noted for other processes. The
// note is not synced: one that is lost, or is of another state, costs a walk.
func (j *Journal) wholePath() string { return j.path + ".whole" }

// isNote reports whether there is a file: a pipe would be waited for.
func (j *Journal) isNote() bool {
	info, err := os.Lstat(j.wholePath())
	return err == nil && info.Mode().IsRegular()
}

func (j *Journal) keep(s state) {
	j.whole.Store(&s)
	if !j.isNote() {
		_ = os.Remove(j.wholePath())
	}
	_ = os.WriteFile(j.wholePath(), s[:], 0o600)
}

// keepWritten notes the state that a transaction of our own has led to.
func (j *Journal) keepWritten(file *os.File) {
	info, err := file.Stat()
	if err != nil {
		return
	}
	p, err := readPages(file, info.Size())
	if err != nil {
		return
	}
	if s, err := p.state(info); err == nil {
		j.keep(s)
	}
}
