package main

import (
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"

	"choir.chat/rel/cmd/rel/config"
	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
	"choir.chat/rel/remote"
)

// typedAs is what a command line has in it, as the run of it would know.
func typedAs(t *testing.T, line ...string) given {
	t.Helper()
	var c cli
	parser, err := newParser(&c, stdio{out: io.Discard, err: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parser.Parse(line)
	if err != nil {
		t.Fatal(err)
	}
	return givenTo(parsed)
}

// What is proposed for a host goes through the configuration that rel was given, and has
// the root that it needs.
func TestAdviceHost(t *testing.T) {
	a := advice{sshConfig: "/tmp/my config", become: map[string]string{"prod": "sudo", "asks": "sudo"}, asks: map[string]bool{"asks": true, "root": true}}
	const through = "ssh -F '/tmp/my config' "
	lost := errors.New("x")
	for want, err := range map[string]error{
		through + "prod 'sudo mkdir -p /a /b'":                        &phases.Refusal{Reason: phases.NoFolder, Host: "prod", Items: []string{"/a", "/b"}},
		through + "-t asks 'sudo mkdir -p /a'":                        &phases.Refusal{Reason: phases.NoFolder, Host: "asks", Items: []string{"/a"}},
		through + "asks 'git -C /r status'":                           &phases.Refusal{Reason: phases.Dirty, Host: "asks", Thing: "/r"},
		through + "root 'mkdir -p /a'":                                &phases.Refusal{Reason: phases.NoFolder, Host: "root", Items: []string{"/a"}},
		through + "prod 'git -C /r status'":                           &phases.Refusal{Reason: phases.Dirty, Host: "prod", Thing: "/r"},
		through + "prod 'nix-collect-garbage'":                        &phases.Refusal{Reason: phases.NoRoom, Host: "prod", Thing: "/nix/store"},
		through + "prod 'sudo journalctl -u x'":                       &phases.ApplyError{Host: "prod", Outcome: phases.Outcome{Result: "stuck", Unit: "x"}},
		through + "prod true":                                         &remote.DialError{Host: "prod", Err: lost},
		through + "ssh://u@prod:22 true":                              &remote.DialError{Host: "u@prod:22", Err: lost},
		through + "-G prod":                                           &remote.ConfigError{Host: "prod"},
		through + "prod /bin/sh -c true":                              &remote.ShellError{Host: "prod"},
		through + "prod sudo -n true":                                 &remote.SudoError{Host: "prod", User: "u", By: "sudo -n"},
		"set User root for prod in /tmp/my config, ":                  &phases.Refusal{Reason: phases.NotRoot, Host: "prod", Thing: "u"},
		through + "prod 'sudo mv /a /a.aside && sudo mv /b /b.aside'": &phases.Refusal{Reason: phases.Occupied, Host: "prod", Items: []string{"/a", "/b"}},
	} {
		e := a.explain(err)
		if e.cure != want && !(strings.HasPrefix(want, "set ") && strings.HasPrefix(e.cure, want)) {
			t.Errorf("got %s, want %s", e.cure, want)
		}
		if e.typed != strings.HasPrefix(want, "ssh ") {
			t.Errorf("%s is a command: %t", want, e.typed)
		}
	}
	asks := &examined{host: &host{name: "asks"}, site: phases.Site{Host: "asks", Become: "sudo", BecomePassword: config.AskPassword}}
	found := &findings{host: "asks", advice: asks.rooted()}
	found.refused(&phases.Refusal{Reason: phases.NoFolder, Host: "asks", Items: []string{"/a"}}, asks.becomes())
	for _, cure := range []string{asks.rootThere("mkdir -p /a"), found.list[0].Cure} {
		if cure != "ssh -t asks 'sudo mkdir -p /a'" {
			t.Errorf("doctor says %s", cure)
		}
	}
	f := &findings{host: "prod", advice: a}
	judgeStore(f, nil, 0, 1<<30)
	f.explained("x", explanation{what: "x"})
	if f.list[0].Cure != through+"prod 'nix-collect-garbage'" || f.list[1].Cure != through+"prod" {
		t.Errorf("doctor says %+v", f.list)
	}
}

// What is proposed for rel keeps what it was started with, and no flag that the command
// does not take.
func TestAdviceRel(t *testing.T) {
	alive := &phases.HeldError{Host: "h", Holder: phases.Holder{Promotion: "p"}}
	refused := func(r phases.Reason) error {
		return &phases.Refusal{Reason: r, Host: "h", Thing: "p", Items: []string{"i"}}
	}
	for _, c := range []struct {
		line string
		err  error
		cure string
	}{
		{"start --sha abcd", refused(phases.Downgrade), "rel start --allow-downgrade --sha abcd, if that is meant; rel rollback to go back"},
		{"start --prod=a --prod b", refused(phases.RolledBack), "rel start --again -m WHY --prod a --prod b, if it is to go live all the same"},
		{"start -m x", refused(phases.RolledBack), "rel start --again --message x, if it is to go live all the same"},
		{"plan --json --sha abcd", refused(phases.Drift), "rel status, which shows what it should be; rel start --accept-drift --sha abcd, if it may be repointed"},
		{"rollback abcd", refused(phases.Drift), "rel status, which shows what it should be; rel rollback abcd --accept-drift, if it may be repointed"},
		{"plan", refused(phases.Held), "rel start --wait 10m, to wait for it"},
		{"doctor", refused(phases.Held), "rel start --wait 10m, to wait for it"},
		{"start --sha abcd", refused(phases.UnknownCommit), "git push && rel start --sha abcd"},
		{"start --wait 1s --sha abcd", alive, "rel start --wait 10m --sha abcd, to wait for it; or, to take it away, rel unlock p -m WHY --force"},
		{"resume abcd", alive, "rel resume abcd --wait 10m, to wait for it; or, to take it away, rel unlock p -m WHY --force"},
		{"abort abcd", alive, "rel abort abcd, once that is over; or, to take it away, rel unlock p -m WHY --force"},
		{"unlock abcd -m x", alive, "rel unlock abcd --force --message x, to take it away all the same"},
		{"rollback", &phases.Refusal{Reason: phases.Unconfirmed, Host: "h", Thing: "p"}, "rel abort p, which puts back what was live before it; or rel resume p"},
		{"--config a.toml resume abcd --journal=j --ssh-config 's s'", &phases.Refusal{Reason: phases.Unconfirmed, Host: "h", Thing: "p"},
			"rel resume p --config a.toml --journal j --ssh-config 's s', or rel abort p --config a.toml --journal j --ssh-config 's s'"},
		{"start --config a.toml", alive, "rel start --wait 10m --config a.toml, to wait for it; or, to take it away, rel unlock p --config a.toml -m WHY --force"},
		{"resume --journal j", refused(phases.Drift), "rel status --journal j, which shows what it should be; rel start --journal j --accept-drift, if it may be repointed"},
		{"log nope --journal j", &idError{Name: "nope"}, "rel log --journal j"},
		{"abort p --journal j", unended(&machine.Past{ID: "p", State: machine.Healthy}), "rel log p --journal j"},
		{"abort abcd", &journal.BusyError{}, "rel abort abcd, in a moment"},
		{"start", &usageError{"x"}, "rel start --help"},
		{"rollback abcd", &remote.SudoError{Host: "h", By: "sudo", Err: errors.New("no answer within 1m0s")}, "rel rollback abcd, and the password when it is asked for"},
		{"status", &remote.SudoError{Host: "h", By: "sudo", Err: errNobodyThere}, "rel status, where there is a terminal to ask for the password on"},
	} {
		a := advice{given: typedAs(t, typedWords(c.line)...)}
		e := a.explain(c.err)
		if e.cure != c.cure {
			t.Errorf("%s: got %s, want %s", c.line, e.cure, c.cure)
		}
		// Up to the first word for people each is one that rel takes.
		for command := range strings.SplitSeq(e.cure, "; ") {
			command, _, _ = strings.Cut(strings.TrimPrefix(command, "or, to take it away, "), ", ")
			if words := typedWords(command); words[0] == "rel" && command != "rel start --help" && !strings.Contains(command, " to go back") {
				typedAs(t, words[1:]...)
			}
		}
	}
	v := &previewed{Preview: new(phases.Preview), Refused: []hurdle{{code: exitRefused}, {code: exitHeld}}}
	var end *exitError
	if err := new(planCmd).show(&house{globals: new(globals), std: stdio{out: io.Discard, err: io.Discard}}, v); !errors.As(err, &end) || end.code != exitHeld {
		t.Errorf("a plan while somebody holds a target ends with %v", err)
	}
}

// The last line is a command that a shell takes, and none that only does the harm again.
func TestNext(t *testing.T) {
	phase := func(name string, err error) error { return &machine.PhaseError{Phase: name, Err: err} }
	crash := &phases.BackError{Err: &phases.ApplyError{Host: "h", Outcome: phases.Outcome{Result: "reverted"}}}
	const anew = "rel start, once a fix is pushed; or rel resume p, if the host was to blame"
	for _, c := range []struct {
		line    string
		err     error
		release *phases.Release
		next    string
	}{
		{"start", phase("apply", crash), nil, anew},
		{"start", phase("health", &phases.UnhealthyError{}), nil, anew},
		{"start", phase("build", &remote.ExitError{Host: "h"}), nil, anew},
		{"rollback", phase("apply", crash), new(phases.Release), "rel status, which lists the other ways back; or rel resume p, if the host was to blame"},
		{"start", phase("health", &phases.UnhealthyError{Kept: true}), nil, "rel resume p"},
		{"start", phase("health", &phases.UnconfirmedError{Back: true}), nil, "rel resume p"},
		{"start", phase("build", &remote.LostError{Host: "h", Err: errors.New("eof")}), nil, "rel resume p"},
		{"start", phase("sync", &remote.ExitError{Host: "h"}), nil, "rel resume p"},
		{"start", &machine.PhaseError{Phase: "build", Interrupted: true}, nil, "rel resume p"},
		{"start", phase("verify", &phases.Refusal{Reason: phases.NoFolder, Host: "h", Items: []string{"/a"}}), nil, "ssh h 'mkdir -p /a' && rel resume p"},
		{"start", phase("build", &phases.SilenceError{Phase: "build"}), nil, "rel resume p, after this: limit.build.silence in rel.toml, if it may take that long"},
		{"start", phase("sync", &phases.Refusal{Reason: phases.UnknownCommit, Host: "h"}), nil, "git push && rel start"},
		{"start", &phases.HoldLostError{}, nil, "rel status, then rel resume p or rel abort p"},
		{"start --journal j --sha abcd", phase("apply", crash), nil, "rel start --journal j, once a fix is pushed; or rel resume p --journal j, if the host was to blame"},
		{"resume --config c --ssh-config s", phase("sync", &remote.LostError{Host: "h", Err: errors.New("eof")}), nil, "rel resume p --config c --ssh-config s"},
		{"log --journal j", errInterrupted, nil, "rel log --journal j"},
		{"init --build b", errInterrupted, nil, "rel init --build b"},
		{"log", errInterrupted, nil, "rel log"},
		{"start --sha abcd -m x", errInterrupted, nil, "rel start --sha abcd --message x"},
	} {
		h := &house{globals: new(globals), given: typedAs(t, strings.Fields(c.line)...), work: &phases.Promotion{ID: "p"}}
		h.work.Plan.Release = c.release
		next := h.next(c.err, h.advice().explain(c.err))
		if next != c.next {
			t.Errorf("%v: got %s, want %s", c.err, next, c.next)
		}
		if out, err := exec.Command("sh", "-n", "-c", next).CombinedOutput(); err != nil {
			t.Errorf("%s: no shell takes it: %s", next, out)
		}
	}
}

// Whoever slips in a flag is sent to the help of that command.
func TestHelpOf(t *testing.T) {
	for line, want := range map[string]string{"start --nope": "rel start --help", "--nope": "rel --help"} {
		var said strings.Builder
		if code := run(t.Context(), strings.Fields(line), stdio{out: io.Discard, err: &said}); code != exitUsage || !strings.HasSuffix(said.String(), "\nnext:    "+want+"\n") {
			t.Errorf("%s: exit %d, %s", line, code, said.String())
		}
	}
}
