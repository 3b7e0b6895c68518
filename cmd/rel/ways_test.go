package main

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"choir.chat/rel/phases"
	"choir.chat/rel/remote/lab"
)

// shelf is a binary cache in memory, that whoever reaches it may write to.
type shelf struct {
	mu    sync.Mutex
	files map[string][]byte
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method == http.MethodPut {
		s.files[r.URL.Path], _ = io.ReadAll(r.Body)
		return
	}
	file, ok := s.files[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.Method == http.MethodGet {
		_, _ = w.Write(file)
	}
}

// binaryCache is the URL of one that the lab's hosts reach.
func (w *world) binaryCache() (url string, s *shelf) {
	w.t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(w.Addr(lab.Origin), "0"))
	if err != nil {
		w.t.Fatal(err)
	}
	s = &shelf{files: map[string][]byte{}}
	server := &http.Server{Handler: s} //nolint:gosec // for a test
	go server.Serve(listener)          //nolint:errcheck // it ends with the test
	w.t.Cleanup(func() { server.Close() })
	return "http://" + listener.Addr().String(), s
}

// TestWays: store paths come by Nix's own copy, and through a binary cache.
func TestWays(t *testing.T) {
	w := newWorld(t, 2)
	before := w.exec("choiros-prod", keysOf)
	w.rewrite("[build]", "[copy]\nvia = \"nix-copy\"\n\n[build]")
	w.must(exitOK, "start").mentions(t, "sent by the build host's nix copy", "choiros-grind: | copying path '/nix/store/")
	if now := w.exec("choiros-prod", keysOf); now != before {
		t.Errorf("the keys on the target are\n%s\nbefore\n%s", now, before)
	}

	url, s := w.binaryCache()
	w.exec(w.BuildHost(), `nix-store --generate-binary-cache-key test-1 /root/cache.key /root/cache.pub
		echo "secret-key-files = /root/cache.key" >>/etc/nix/nix.conf`)
	key := w.exec(w.BuildHost(), "cat /root/cache.pub")
	trust := func(host string) { w.exec(host, "echo 'trusted-public-keys = "+key+"' >>/etc/nix/nix.conf") }
	trust("choiros-prod")
	w.rewrite("[build]", "[copy]\nvia = \"cache\"\ncache = \""+url+"\"\n\n[build]")
	w.bump(lab.Bump{})
	// Who trusts no key takes nothing, and nothing has changed by then.
	w.must(exitFailed, "start").mentions(t, "choiros-prod-2", "trusted-public-keys")
	trust("choiros-prod-2")
	w.must(exitOK, "resume").mentions(t, "from the cache", "choiros-prod-2: | copying path '/nix/store/")
	for name, sent := range w.past().Facts.Copy.Targets {
		if name == "choiros-prod-2" && (sent.Way != phases.Cached || sent.Relayed || sent.Paths == 0) {
			t.Errorf("%s: sent %+v", name, sent)
		}
	}
	packed := 0
	for name := range s.files {
		if strings.HasSuffix(name, ".nar.zst") {
			packed++
		}
	}
	if packed == 0 {
		t.Errorf("nothing in the cache is packed with zstd: %d files", len(s.files))
	}
}
