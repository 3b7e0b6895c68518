package phases

import (
	"compress/gzip"
	"context"
	_ "embed"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"

	"choir.chat/rel/phases/serve"
)

//go:embed infos.sh
var infosPart string

//go:embed known.sh
var knownScript string

// Info is what Nix knows of a path of a closure: all that a store needs to be told that
// it is to have it.
type Info struct {
	// Hash is the SHA-256 of the path's archive, in hex, and Size the archive's in bytes.
	Hash string `json:"hash"`
	Size int64  `json:"size"`
	// References are those of the closure that it refers to, by their places in it.
	References []int `json:"refs,omitempty"`
	// Deriver is what it was built from, Signatures vouch for it, and Address says how
	// its name follows from its content; each as far as it is known.
	Deriver    string   `json:"deriver,omitempty"`
	Signatures []string `json:"sigs,omitempty"`
	Address    string   `json:"ca,omitempty"`
}

// full is the info as Nix writes it.
func (i *Info) full(closure []string, n int) *serve.Info {
	info := &serve.Info{Path: closure[n], Hash: i.Hash, Size: i.Size, Deriver: i.Deriver, Signatures: i.Signatures, Address: i.Address}
	for _, place := range i.References {
		info.References = append(info.References, closure[place])
	}
	return info
}

// infosCap is how much the build host may say of a closure once it is unpacked: of each
// path some five hundred bytes.
const infosCap = 256 << 20

// parseInfos reads what infos.sh answers of the closure.
func parseInfos(host string, closure []string, a answer) ([]Info, error) {
	wrong := func(err error) ([]Info, error) {
		return nil, fmt.Errorf("%s: what nix-store --serve says of the closure: %w", host, err)
	}
	text := base64.NewDecoder(base64.StdEncoding, strings.NewReader(strings.Join(a.all("infos"), "")))
	unpacked, err := gzip.NewReader(text)
	if err != nil {
		return wrong(err)
	}
	answers := serve.NewAnswers(io.LimitReader(unpacked, infosCap))
	if err := answers.Greeting(); err != nil {
		return wrong(err)
	}
	list, err := answers.Infos()
	if err != nil {
		return wrong(err)
	}
	places := map[string]int{}
	for i, path := range closure {
		places[path] = i
	}
	infos := make([]Info, len(closure))
	for i := range list {
		if err := place(infos, places, &list[i]); err != nil {
			return wrong(err)
		}
	}
	if i := slices.IndexFunc(infos, func(i Info) bool { return i.Hash == "" }); i >= 0 {
		return wrong(fmt.Errorf("it says nothing of %s", closure[i]))
	}
	return infos, nil
}

// place puts an info where its path is in the closure.
func place(infos []Info, places map[string]int, full *serve.Info) error {
	at, known := places[full.Path]
	if !known {
		return fmt.Errorf("it has %q, which is not in it", clip(full.Path))
	}
	info := Info{Hash: full.Hash, Size: full.Size, Deriver: full.Deriver, Signatures: full.Signatures, Address: full.Address}
	for _, reference := range full.References {
		// The sender goes by this order: what is referred to has to be there already.
		n, known := places[reference]
		if !known || n > at {
			return fmt.Errorf("%s refers to %q, which does not come before it", full.Path, clip(reference))
		}
		info.References = append(info.References, n)
	}
	infos[at] = info
	return nil
}

// infos are those of the release's closure; of a release that was recorded without, the
// build host is asked.
func (p *Promotion) infos(ctx context.Context) ([]Info, error) {
	release := p.Release()
	if len(release.Infos) == len(release.Closure) {
		return release.Infos, nil
	}
	a, err := ask(ctx, p, p.Build, Script{Name: "known.sh", Code: infosPart + knownScript, Reads: true, Stdin: lines(release.Closure)})
	if err != nil {
		return nil, err
	}
	return parseInfos(p.Build.Name(), release.Closure, a)
}
