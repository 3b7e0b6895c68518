package journal

import (
	"encoding/json"
	"strings"
	"testing"
)

const someHash = "00ffa1b2c3d4e5f60718293a4b5c6d7e8f90000102030405060708090a0b0c0d"

func TestHashText(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", someHash} {
		var h Hash
		if err := h.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if got, err := h.MarshalText(); err != nil || string(got) != text {
			t.Errorf("%q is written as %q, %v", text, got, err)
		}
		if h.IsZero() != (text == "") {
			t.Errorf("%q: IsZero() = %v", text, h.IsZero())
		}
	}
	// Nothing is the text of no hash, not a hash of zeros; String prints it.
	if got := (Hash{}).String(); got != strings.Repeat("0", 64) {
		t.Errorf("the zero hash prints as %q", got)
	}
	h := Hash{1}
	if err := h.UnmarshalText(nil); err != nil || !h.IsZero() {
		t.Errorf("nothing read over a hash leaves %v, %v", h, err)
	}
}

func TestHashRefusesOtherText(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"too short":  someHash[:62],
		"too long":   someHash + "00",
		"odd":        someHash[:63],
		"no hex":     "zz" + someHash[2:],
		"with space": " " + someHash,
		"a word":     "none",
	} {
		h := Hash{7}
		if err := h.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%s: %q was read as %v", name, text, h)
		}
		if h != (Hash{7}) {
			t.Errorf("%s: the refused text has changed the hash", name)
		}
	}
}

// The form on disk and in --json: hex, and "" before the first event.
func TestHashInJSON(t *testing.T) {
	t.Parallel()
	var h Hash
	if err := h.UnmarshalText([]byte(someHash)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		head Head
		want string
	}{
		{Head{}, `{"seq":0,"hash":""}`},
		{Head{Seq: 3, Hash: h}, `{"seq":3,"hash":"` + someHash + `"}`},
	} {
		got, err := json.Marshal(c.head)
		if err != nil || string(got) != c.want {
			t.Errorf("%+v is written as %s, %v, want %s", c.head, got, err, c.want)
		}
		var back Head
		if err := json.Unmarshal(got, &back); err != nil || back != c.head {
			t.Errorf("%s is read as %+v, %v", got, back, err)
		}
	}
}
