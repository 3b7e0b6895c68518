package main

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	// holeTime is how long a black hole lasts: longer than the keepalives wait.
	holeTime = 32 * time.Second
	// sshdTime is how long sshd is away.
	sshdTime = 2 * time.Second
)

// injury is a way in which a promotion is cut off. harm does it; mend, if there is
// one, what happens in the world afterwards, while rel goes on.
type injury struct {
	name string
	harm func(*patient) error
	mend func(*patient) error
}

// patient is what is harmed: the process of rel, the network and the target.
type patient struct {
	*world
	process *exec.Cmd
	proxies []*proxy
	target  string
}

var injuries = []injury{
	{name: "SIGKILL", harm: func(p *patient) error { return p.process.Process.Signal(syscall.SIGKILL) }},
	{name: "SIGINT", harm: func(p *patient) error { return p.process.Process.Signal(syscall.SIGINT) }},
	{name: "cut", harm: func(p *patient) error { return p.network((*proxy).cut) }},
	{
		name: "hole",
		harm: func(p *patient) error { return p.network((*proxy).swallow) },
		mend: func(p *patient) error {
			time.Sleep(holeTime)
			return p.network((*proxy).heal)
		},
	},
	{
		name: "sshd",
		harm: (*patient).killSSHD,
		mend: func(p *patient) error {
			time.Sleep(sshdTime)
			_, err := p.Exec(p.t.Context(), p.target, "systemctl start ssh.service")
			return err
		},
	},
	{
		name: "power",
		harm: func(p *patient) error { return p.Stop(p.t.Context(), p.target) },
		mend: func(p *patient) error { return p.Start(p.t.Context(), p.target) },
	},
}

func (p *patient) network(do func(*proxy)) error {
	for _, proxy := range p.proxies {
		do(proxy)
	}
	return nil
}

// killSSHD kills the listener and the processes of all its sessions; what these were
// running goes on. It is stopped first, since systemd starts anew what is killed.
func (p *patient) killSSHD() error {
	out, err := p.Exec(p.t.Context(), p.target, `systemctl stop ssh.service
		for exe in /proc/[0-9]*/exe; do
			case $(readlink "$exe") in
			*/sshd | */sshd-session) pid=${exe#/proc/} && kill -KILL "${pid%/exe}" && echo killed ;;
			esac
		done; ! systemctl is-active --quiet ssh.service`)
	if err == nil && !strings.Contains(out, "killed") {
		err = fmt.Errorf("%s: there was no session of sshd", p.target)
	}
	return err
}
