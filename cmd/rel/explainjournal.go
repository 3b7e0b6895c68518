package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"choir.chat/rel/journal"
)

func (a advice) explainJournal(err error) explanation {
	var (
		busy    *journal.BusyError
		claimed *journal.ClaimedError
		damaged *journal.DamagedError
		chain   *journal.ChainError
		newer   *journal.NewerError
		anchor  *anchorError
		room    *journal.RoomError
	)
	e := explanation{code: exitFailed, what: err.Error()}
	if why := unwritten(err); why != nil {
		e.what, e.cure = fmt.Sprintf("the output cannot be written: %v", why), "make room where the output goes, and type it again"
		return e
	}
	switch {
	case errors.As(err, &busy):
		e.code, e.cure = exitHeld, "try again in a moment"
		if a.command != "" {
			e.cure = a.typed(a.command, "") + ", in a moment"
		}
	case errors.As(err, &claimed):
		e.code, e.cure = exitHeld, strings.TrimSpace("rel watch "+claimed.Holder.Promotion)+"{here}, to wait for it"
	case errors.As(err, &damaged):
		e.code, e.cure = exitDamaged, restore(damaged.Backup, damaged.Path)
	case errors.As(err, &chain):
		e.code, e.cure = exitDamaged, restore(chain.Backup, chain.Path)
	case errors.As(err, &anchor):
		e.code, e.cure = exitDamaged, "ask whoever could write to the journal; its backups lie beside it"
	case errors.As(err, &room):
		e.code, e.cure = exitRefused, "df -h "+room.Dir
	case errors.As(err, &newer):
		e.code, e.cure = exitUsage, "use the newer rel"
	}
	return e
}

// restore is the command that goes back to a backup of the journal. Without one
// there is no going on, but for who wants to begin anew.
func restore(backup, path string) string {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return "name a file in it with --journal or REL_JOURNAL: it is a folder"
	}
	if backup != "" {
		return fmt.Sprintf("cp %s %s", quoted(backup), quoted(path))
	}
	const lost = "there is no backup that is whole"
	if path == "" {
		return lost
	}
	// The folder may have more in it than what rel keeps there.
	dir := filepath.Dir(path)
	aside := quoted(filepath.Join(dir, "rel.damaged"))
	move := "mv"
	for _, own := range []string{path, path + ".whole", filepath.Join(dir, "backups"), filepath.Join(dir, "logs")} {
		if _, err := os.Lstat(own); err == nil {
			move += " " + quoted(own)
		}
	}
	if move == "mv" {
		return lost
	}
	return fmt.Sprintf("mkdir %s && %s %s, to begin a new history: %s", aside, move, aside, lost)
}
