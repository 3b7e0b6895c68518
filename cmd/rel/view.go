package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"slices"
	"strings"

	"choir.chat/rel/phases"
)

// view is what the build host sees of a target.
type view struct {
	from, address string
	keys          []string
	said          string
	err           error
}

// lookFrom has the build host look at the target's sshd, once both are there.
func (p *examined) lookFrom(ctx context.Context, build *examined) {
	<-p.dialled
	<-build.dialled
	if p.reached != nil || build.reached != nil {
		return
	}
	ctx, cancel := build.patiently(ctx)
	defer cancel()
	v := &view{from: build.name, address: fromBuild(p.site.FromBuild, p.login.address)}
	v.keys, v.said, v.err = phases.Reach(ctx, build, v.address, keyType(p.login.hostKey))
	p.view = v
}

// fromBuild is where the build host looks for a target: where rel.toml says, or where
// the operator reached it.
func fromBuild(configured, reached string) string {
	if configured == "" {
		return reached
	}
	if _, name, ok := strings.Cut(configured, "@"); ok {
		configured = name
	}
	if _, _, err := net.SplitHostPort(configured); err == nil {
		return configured
	}
	return net.JoinHostPort(strings.Trim(configured, "[]"), "22")
}

func judgeView(f *findings, v *view, l login, via string) {
	host, port, _ := net.SplitHostPort(v.address)
	scan := f.there(v.from, fmt.Sprintf("ssh-keyscan -T 8 -p %s %s", port, host))
	switch {
	case via == phases.Relayed:
		f.ok("from-build", "what is copied goes through this machine: copy.via")
	case via == phases.Cached:
		f.ok("from-build", "what is copied goes through the binary cache: copy.via")
	case v.err != nil:
		f.failed("from-build", v.err)
	case len(v.keys) == 0:
		why := ""
		if v.said != "" {
			why = " (" + v.said + ")"
		}
		cure := scan + "; or from_build in rel.toml, if it has another address there"
		if via == phases.Direct || via == phases.NixCopy {
			f.fail("from-build", cure, "%s does not reach %s%s, and copy.via has it send there", v.from, v.address, why)
			break
		}
		f.warn("from-build", cure, "%s does not reach %s%s: what is copied goes through this machine", v.from, v.address, why)
	case !slices.Contains(v.keys, l.hostKey):
		f.fail("from-build", scan, "at %s %s sees the host key %s, not %s: that is another host, or somebody is in between",
			v.address, v.from, fingerprint(v.keys[0]), fingerprint(l.hostKey))
	default:
		f.ok("from-build", "%s reaches %s, and sees the same host key", v.from, v.address)
	}
}

// keyType is the first word of a public key.
func keyType(key string) string {
	name, _, _ := strings.Cut(key, " ")
	return name
}

// fingerprint is a public key's as OpenSSH shows it.
func fingerprint(key string) string {
	_, text, _ := strings.Cut(key, " ")
	blob, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "that is none"
	}
	sum := sha256.Sum256(blob)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}
