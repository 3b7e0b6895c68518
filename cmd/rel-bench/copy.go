package main

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"time"

	"choir.chat/rel/remote/lab"
)

// away is what the build host calls the target by way of the link.
const awayAlias = "away"

// built is where the build host keeps what prepare has built, and the closure that was sent before.
const built = "/var/tmp/bench"

//go:embed least.sh
var leastScript string

// introduce gives the build host a login at the target, which the others need to copy by themselves, and a checkout
// that no release touches.
func (s *stand) introduce(ctx context.Context) error {
	key, err := s.Exec(ctx, s.BuildHost(), `set -e
		mkdir -p /root/.ssh `+built+`
		ssh-keygen -q -t ed25519 -N '' -C bench -f /root/.ssh/id_ed25519
		git clone --quiet "$(git -C `+checkout+` remote get-url origin)" `+built+`/repo
		cat /root/.ssh/id_ed25519.pub`)
	if err != nil {
		return err
	}
	_, err = s.Exec(ctx, s.Targets()[0], "echo '"+strings.TrimSpace(key)+"' >>/root/.ssh/authorized_keys")
	return err
}

// build builds the newest commit's artifacts on the build host, and returns how few bytes they can be sent in, where the
// target has what was built before. The hosts' checkouts do not move.
func (s *stand) build(ctx context.Context, flakes []string) (least int64, err error) {
	out, err := s.Exec(ctx, s.BuildHost(), fmt.Sprintf("set -e\nFLAKES='%s' BUILT=%s\n%s", strings.Join(flakes, " "), built, leastScript))
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(out), 10, 64)
}

// ways are the commands that copy, on the build host: $top are the store paths that were asked for, $all all they need.
var ways = map[string]string{
	"nix-ssh":      "nix copy --to ssh://" + awayAlias + " $top",
	"nix-ssh-ng":   "nix copy --no-check-sigs --to ssh-ng://" + awayAlias + " $top",
	"closure-gzip": "nix-copy-closure --gzip --to " + awayAlias + " $top",
	"rsync": `lacks=$(ssh ` + awayAlias + ` nix-store --check-validity --print-invalid $all)
		rsync -az --ignore-times $lacks ` + awayAlias + `:/nix/store/
		nix-store --dump-db $lacks | ssh ` + awayAlias + ` nix-store --load-db`,
}

// copies has each party copy the same paths, and takes them away again; rel is the last, and makes them live.
func (s *stand) copies(ctx context.Context, t trial, p place, parties []string, keep func(run)) error {
	least, err := s.prepare(ctx, t)
	if err != nil {
		return err
	}
	for _, party := range parties {
		var r run
		switch party {
		case "rel":
			if r, err = s.promoteRel(ctx, t, p); err == nil {
				r.Wall = r.Phases["copy"]
			}
		case "predecessor":
			r, err = s.copyHere(ctx, p)
		default:
			r, err = s.copyThere(ctx, p, ways[party])
		}
		if err == nil {
			_, err = s.Exec(ctx, s.BuildHost(), "ssh "+s.plain()+" nix-store --check-validity $(cat "+built+"/all)")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", party, err)
		}
		r.Case, r.Party, r.place, r.Least = t.name, party, p, least
		keep(r)
		if party != "rel" {
			if err := s.forget(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// plain are the words with which the build host's ssh reaches the target, and no link.
func (s *stand) plain() string {
	return "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR " + s.Addr(s.Targets()[0])
}

// forget deletes from the target what only the newest build has.
func (s *stand) forget(ctx context.Context) error {
	_, err := s.Exec(ctx, s.BuildHost(), "paths=$(cat "+built+"/new); [ -z \"$paths\" ] || ssh "+s.plain()+" nix-store --delete $paths >/dev/null 2>&1")
	return err
}

// copyHere is the predecessor's copy: by the operator, from the one to the other.
func (s *stand) copyHere(ctx context.Context, p place) (run, error) {
	top, err := s.Exec(ctx, s.BuildHost(), "cat "+built+"/top")
	if err != nil {
		return run{}, err
	}
	return s.measure(ctx, p, func(ctx context.Context, away *lab.Away, dir string) (run, error) {
		args := []string{"--extra-experimental-features", "nix-command", "copy", "--from", "ssh://" + s.BuildHost(), "--to", "ssh://" + s.Targets()[0]}
		return command(ctx, dir, []string{"NIX_SSHOPTS=-F " + away.SSHConfigPath()}, "nix", append(args, strings.Fields(top)...)...)
	})
}

// copyThere runs a command on the build host, as somebody logged in there would.
func (s *stand) copyThere(ctx context.Context, p place, way string) (run, error) {
	return s.measure(ctx, p, func(ctx context.Context, away *lab.Away, _ string) (r run, err error) {
		link := away.BuildLinks[s.Targets()[0]]
		config := fmt.Sprintf("Host %s\nHostName %s\nPort %s\nUser root\nStrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nLogLevel ERROR\n",
			awayAlias, link.Host(), link.Port())
		if _, err := s.Exec(ctx, s.BuildHost(), "cat >/root/.ssh/config <<'END'\n"+config+"END"); err != nil {
			return r, err
		}
		began := time.Now()
		_, err = s.Exec(ctx, s.BuildHost(), fmt.Sprintf("set -e\ntop=$(cat %s/top) all=$(cat %s/all)\n%s", built, built, way))
		r.Wall = time.Since(began)
		return r, err
	})
}
