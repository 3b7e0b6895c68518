package phases

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"
)

//go:embed adopt.sh
var adoptScript string

// Adopt records what the links of the targets point at today as a release that
// is live and confirmed, and pins it. It changes neither link nor unit. What it
// found is the release that a build makes otherwise.
func Adopt(ctx context.Context, p *Promotion) error {
	if err := VerifyTargets(ctx, p); err != nil {
		return err
	}
	release, err := p.found()
	if err != nil {
		return err
	}
	err = each(ctx, p.Targets[:1], func(ctx context.Context, _ int, target Host) error {
		return p.describe(ctx, target, release)
	})
	if err != nil {
		return err
	}
	p.Facts.Build = release
	err = each(ctx, p.Targets, func(ctx context.Context, _ int, target Host) error {
		ready, err := receive(ctx, p, target)
		if err != nil {
			return err
		}
		if len(ready.missing) > 0 {
			return &InvalidError{Host: target.Name(), Paths: []string{release.Closure[ready.missing[0]]}}
		}
		return p.upload(ctx, target)
	})
	if err != nil {
		return err
	}
	refused, err := confirm(ctx, p)
	if err == nil && refused != "" {
		err = &UnconfirmedError{Reason: refused}
	}
	return err
}

// found makes a release of what verify saw the links point at. All targets have
// to have the same: a release is one set of store paths.
func (p *Promotion) found() (*Release, error) {
	release := &Release{ID: p.ID, Commit: p.Plan.Commit, Subject: p.Plan.Subject,
		CreatedAt: time.Now().UTC().Truncate(time.Second), Repo: p.Plan.Build.Repo}
	first := p.Targets[0].Name()
	for _, a := range p.Plan.Artifacts {
		leads := p.Facts.Verify.Targets[first].Links[a.Link]
		for _, target := range p.Targets[1:] {
			if other := p.Facts.Verify.Targets[target.Name()].Links[a.Link]; other != leads {
				return nil, &Refusal{Reason: TargetsDiffer, Host: target.Name(), Thing: a.Link, Items: []string{other}}
			}
		}
		if leads == "" {
			continue
		}
		name, binary, _ := strings.Cut(strings.TrimPrefix(leads, storeDir+"/"), "/")
		if o := (Output{Path: storeDir + "/" + name, Artifact: Artifact{Binary: binary}}); isStorePath(o.Path) && o.Target() == leads && binary != "" {
			a.Binary = binary
			release.Outputs = append(release.Outputs, Output{Artifact: a, Path: storeDir + "/" + name})
			continue
		}
		return nil, &Refusal{Reason: NotInStore, Host: first, Thing: a.Link, Items: []string{leads}}
	}
	for _, target := range p.Targets {
		if live := p.Facts.Verify.Targets[target.Name()].Live; live != "" && live != p.ID {
			return nil, &Refusal{Reason: Adopted, Host: target.Name(), Thing: live}
		}
	}
	if len(release.Outputs) == 0 {
		return nil, &Refusal{Reason: NoLinks, Host: first}
	}
	return release, nil
}

// describe asks a target for the closure, and for the commit if the manifest
// that lies there is of exactly these binaries.
func (p *Promotion) describe(ctx context.Context, target Host, release *Release) error {
	s := p.onTarget(target, "adopt.sh", adoptScript, map[string]string{"MANIFEST": p.Plan.Manifest})
	var paths []string
	for i := range release.Outputs {
		paths = append(paths, release.Outputs[i].Path)
	}
	s.Stdin = lines(paths)
	a, err := ask(ctx, p, target, s)
	if err != nil {
		return err
	}
	if lost := a.all("missing"); len(lost) > 0 {
		return &InvalidError{Host: target.Name(), Paths: lost}
	}
	release.Closure = a.all("path")
	if _, err := fmt.Sscan(a.get("bytes"), &release.Bytes); err != nil {
		return fmt.Errorf("%s: adopt.sh did not say how large the closure is", target.Name())
	}
	if err := release.check(); err != nil {
		return fmt.Errorf("%s: %w", target.Name(), err)
	}
	manifest, err := ParseManifest([]byte(strings.Join(a.all("manifest"), "\n")))
	if err != nil {
		p.Note(target.Name(), "the manifest there cannot be read: "+err.Error())
		return nil
	}
	for i := range release.Outputs {
		o := &release.Outputs[i]
		if manifest[manifestKey(o.Name)+"_BIN"] != o.Target() {
			p.Note(target.Name(), "no manifest there is of these binaries: their commit is not known")
			return nil
		}
	}
	if sha := manifest["RELEASE_SHA"]; isCommit(sha) {
		release.Commit = sha
	}
	return nil
}
