package remote

import "testing"

// TestWhoIsNotToBlame: the phases tell by these methods that it is not the release that
// failed.
func TestWhoIsNotToBlame(t *testing.T) {
	for _, err := range []error{&DialError{}, &AuthError{}, &HostKeyError{}} {
		e, ok := err.(interface {
			Lost() bool
			Unreached() bool
		})
		if !ok || !e.Lost() || !e.Unreached() {
			t.Errorf("%T passes for the fault of what runs there", err)
		}
	}
}
