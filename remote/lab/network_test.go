package lab

import "testing"

func TestRoutePrefix(t *testing.T) {
	for _, c := range []struct{ dest, mask, want string }{
		{"0013570A", "00FFFFFF", "10.87.19.0/24"},
		{"00000000", "00000000", "0.0.0.0/0"},
		{"0000A8C0", "0000FFFF", "192.168.0.0/16"},
	} {
		if got, ok := routePrefix(c.dest, c.mask); !ok || got.String() != c.want {
			t.Errorf("routePrefix(%q, %q) = %v, %v, want %s", c.dest, c.mask, got, ok, c.want)
		}
	}
	if _, ok := routePrefix("Destination", "Mask"); ok {
		t.Error("the heading is taken for a route")
	}
}
