package journal

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
	"io"
)

// bbolt writes numbers in the machine's own byte order.
var native = binary.NativeEndian

// meta is what one of the first two pages says of all others. A transaction
// writes one of them, as its last act; the other tells of the one before.
type meta struct {
	pageSize, root, freeList, high, tx uint64
}

// readMetas reads both.
//
// bbolt makes do with one, and falls back in silence to the older if the newer
// is not whole: the last acknowledged event would be gone. Here, both must be.
// A cut of the power cannot be the cause of one that is not: all that it says
// lies in the first 80 bytes of its page, and a disk writes its sectors, of 512
// bytes or more, whole or not at all.
func readMetas(file io.ReaderAt) (metas [2]meta, err error) {
	if metas[0], err = readMeta(file, 0, 0); err != nil {
		return metas, err
	}
	size := metas[0].pageSize
	if size < 1024 || size > 1<<16 || size&(size-1) != 0 {
		return metas, damagedf("its pages have %d bytes", size)
	}
	if metas[1], err = readMeta(file, int64(size), 1); err != nil {
		return metas, err
	}
	// They are mostly one transaction apart. In a copy that bbolt has made the
	// newer may be the first whatever its number, so that two apart is sound;
	// and more, where a write was lost and reported, and the next was not.
	if metas[1].pageSize != size || metas[1].tx == metas[0].tx {
		return metas, damagedf("its two tables of contents do not belong together")
	}
	return metas, nil
}

func readMeta(file io.ReaderAt, at int64, id uint64) (meta, error) {
	var page [80]byte
	if _, err := file.ReadAt(page[:], at); errors.Is(err, io.EOF) {
		return meta{}, damagedf("it is cut short")
	} else if err != nil {
		return meta{}, err
	}
	b := page[pageHeader:]
	if native.Uint32(b) != 0xED0CDAED || native.Uint32(b[4:]) != 2 {
		return meta{}, damagedf("it is no database, or page %d, a table of contents, is not what was written", id)
	}
	if native.Uint64(b[56:]) != sumMeta(b) || native.Uint64(page[:]) != id || native.Uint16(page[8:]) != pageMeta {
		return meta{}, damagedf("page %d, a table of contents, is not what was written", id)
	}
	return meta{
		pageSize: uint64(native.Uint32(b[8:])), root: native.Uint64(b[16:]),
		freeList: native.Uint64(b[32:]), high: native.Uint64(b[40:]), tx: native.Uint64(b[48:]),
	}, nil
}

func sumMeta(b []byte) uint64 {
	hash := fnv.New64a()
	hash.Write(b[:56])
	return hash.Sum64()
}
