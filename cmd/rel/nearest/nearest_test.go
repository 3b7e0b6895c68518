package nearest

import "testing"

func TestWord(t *testing.T) {
	names := []string{"start", "status", "rollback", "resume", "log", "abort"}
	for word, want := range map[string]string{"strat": "start", "statu": "status", "rolback": "rollback", "xyz": "", "logs": "log"} {
		if got := Word(word, names); got != want {
			t.Errorf("nearest to %q is %q, want %q", word, got, want)
		}
	}
}
