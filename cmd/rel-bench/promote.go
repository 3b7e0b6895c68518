package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"choir.chat/rel/remote/lab"
)

//go:embed predecessor.sh
var predecessor string

const (
	checkout = "/opt/choiros/workspace"
	units    = "container@sandbox-live container@sandbox-dev hypervisor"
)

// artifacts are those of the lab's rel.toml, as predecessor.sh wants them.
var artifacts = []string{
	"sandbox:./sandbox#sandbox:bin/sandbox:/opt/choiros/bin/sandbox",
	"hypervisor:./hypervisor#hypervisor:bin/hypervisor:/opt/choiros/bin/hypervisor",
	"desktop:./dioxus-desktop#desktop:bin/desktop:/opt/choiros/bin/desktop",
}

// promotions runs each party once, with a release of its own.
func (s *stand) promotions(ctx context.Context, t trial, p place, parties []string, keep func(run)) error {
	for _, party := range parties {
		least, err := s.prepare(ctx, t)
		if err != nil {
			return fmt.Errorf("prepare %s: %w", party, err)
		}
		links, err := s.Exec(ctx, s.Targets()[0], forgetStarts+rememberLinks)
		if err != nil {
			return err
		}
		promote := s.promoteOld
		if party == "rel" {
			promote = s.promoteRel
		}
		r, err := promote(ctx, t, p)
		if err != nil {
			return fmt.Errorf("%s: %w", party, err)
		}
		r.Case, r.Party, r.place, r.Least = t.name, party, p, least
		keep(r)
		if party != "rel" && !t.first {
			// What rel has made live stands again: it would take the other for drift.
			if _, err := s.Exec(ctx, s.Targets()[0], links+"\nsystemctl restart "+units); err != nil {
				return err
			}
		}
	}
	return nil
}

// forgetStarts has systemd forget how often each unit was started lately: many short runs would restart one more often
// than its start limit allows, which no release does.
const forgetStarts = "systemctl reset-failed " + units + "\n"

// rememberLinks prints the commands that make the links what they are.
const rememberLinks = `for l in /opt/choiros/bin/*; do [ ! -L "$l" ] || echo "ln -sfn $(readlink "$l") $l"; done`

// prepare makes what is about to be released, and has the build host build it: the measured runs are without the
// compiler's time. It returns how few bytes its best delta has.
func (s *stand) prepare(ctx context.Context, t trial) (least int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, setupWithin)
	defer cancel()
	if t.first {
		if err := s.clear(ctx, t); err != nil {
			return 0, err
		}
	}
	if t.bump != nil {
		if _, err := s.Bump(ctx, *t.bump); err != nil {
			return 0, err
		}
	}
	return s.build(ctx, t.flakes())
}

// flakes are what the case builds.
func (t *trial) flakes() (list []string) {
	if t.extra != "" {
		return []string{"./" + t.extra + "#" + t.extra}
	}
	for _, a := range artifacts {
		list = append(list, strings.Split(a, ":")[1])
	}
	return list
}

// clear takes away all that was released on the target, and begins a new journal. Unless the case is about first
// releases, there is one afterwards.
func (s *stand) clear(ctx context.Context, t trial) error {
	ctx, cancel := context.WithTimeout(ctx, setupWithin)
	defer cancel()
	if _, err := s.Exec(ctx, s.Targets()[0], `systemctl stop `+units+`
		systemctl stop 'rel-*' 2>/dev/null || true
		rm -rf /var/lib/rel /nix/var/nix/gcroots/rel /opt/choiros/bin/* /tmp/choiros-release.env
		nix-collect-garbage --quiet >/dev/null 2>&1`); err != nil {
		return err
	}
	s.journal = filepath.Join(s.folder(), "journal.db")
	if _, err := s.build(ctx, nil); err != nil || t.first {
		return err
	}
	if _, err := s.build(ctx, t.flakes()); err != nil {
		return err
	}
	_, err := s.promoteRel(ctx, t, place{})
	return err
}

// folder is a new one for a run.
func (s *stand) folder() string {
	s.runs++
	dir := filepath.Join(s.scratch, fmt.Sprint(s.runs))
	_ = os.Mkdir(dir, 0o700) // what is written to it then fails with the reason
	return dir
}

// promoteOld is a release as it was done before rel.
func (s *stand) promoteOld(ctx context.Context, _ trial, p place) (run, error) {
	return s.measure(ctx, p, func(ctx context.Context, away *lab.Away, dir string) (run, error) {
		script := filepath.Join(dir, "predecessor.sh")
		if err := os.WriteFile(script, []byte(predecessor), 0o600); err != nil {
			return run{}, err
		}
		stages := filepath.Join(dir, "stages")
		r, err := command(ctx, dir, []string{
			"STAGES=" + stages, "BUILD=" + s.BuildHost(), "TARGET=" + s.Targets()[0], "SSH_CONFIG=" + away.SSHConfigPath(), "REPO=" + checkout,
			"MANIFEST=/tmp/predecessor.env", "ARTIFACTS=" + strings.Join(artifacts, " "), "UNITS=" + units,
			"CHECKS=http://127.0.0.1:9090/health http://127.0.0.1:8080/health https://os.choir.chat/login https://choir.chat/x",
			"CURL=--insecure --resolve os.choir.chat:443:127.0.0.1 --resolve choir.chat:443:127.0.0.1",
		}, "sh", script)
		if err != nil {
			return r, err
		}
		r.Phases, err = readStages(stages)
		return r, err
	})
}

// readStages is how long each stage took, of a file that has when each began.
func readStages(file string) (map[string]time.Duration, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	took := map[string]time.Duration{}
	var before string
	var began int64
	for line := range strings.Lines(string(text)) {
		var name string
		var at int64
		if _, err := fmt.Sscanf(line, "%s %d", &name, &at); err != nil {
			return nil, fmt.Errorf("%s: %q: %w", file, line, err)
		}
		if before != "" {
			took[before] = time.Duration(at - began)
		}
		before, began = name, at
	}
	return took, nil
}

// promoteRel is a release by rel.
func (s *stand) promoteRel(ctx context.Context, t trial, p place) (run, error) {
	return s.measure(ctx, p, func(ctx context.Context, away *lab.Away, dir string) (run, error) {
		config := away.ConfigPath()
		if t.extra != "" {
			config = filepath.Join(dir, "extra.toml")
			if err := s.writeExtra(config, away, t.extra); err != nil {
				return run{}, err
			}
		}
		flags := []string{"--config", config, "--ssh-config", away.SSHConfigPath(), "--journal", s.journal, "--progress", "quiet"}
		r, err := command(ctx, dir, nil, s.rel, append(flags, "start")...)
		if err != nil {
			return r, err
		}
		r.Phases, err = s.phases(ctx, dir, flags)
		return r, err
	})
}

// writeExtra is a rel.toml for one extra artifact, which is sent and linked; nothing is restarted or asked.
func (s *stand) writeExtra(path string, away *lab.Away, name string) error {
	link := away.BuildLinks[s.Targets()[0]]
	return os.WriteFile(path, fmt.Appendf(nil, `app = "choiros"
branch = "main"
repo = %q
manifest = "/tmp/choiros-release.env"
confirm = "60s"

[build]
host = %q

[[target]]
host = %q
from_build = "root@%s:%s"

[[artifact]]
name = %[6]q
flake = "./%[6]s#%[6]s"
binary = "bin/%[6]s"
link = "/opt/choiros/bin/%[6]s"
`, checkout, s.BuildHost(), s.Targets()[0], link.Host(), link.Port(), name), 0o600)
}

// pauseAfter lets what a run has left on the hosts end, before the next begins.
const pauseAfter = 300 * time.Millisecond
