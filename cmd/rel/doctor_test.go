package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"choir.chat/rel/remote/lab"
)

// doctored is the operator of TestDoctor: a folder of commands that are what they are
// called, but for the lab; and an agent that is there, or not.
type doctored struct {
	*world
	commands, ssh, agent string
}

// newDoctored has three targets, of which the second lets no root in.
func newDoctored(t *testing.T) *doctored {
	t.Helper()
	w := newWorld(t, 3)
	rel := program(t)
	d := &doctored{world: w, commands: t.TempDir()}
	w.exec("choiros-prod-2", `useradd --create-home deploy
		cp -r /root/.ssh /home/deploy/.ssh && chown -R deploy: /home/deploy/.ssh /opt/choiros/workspace
		echo 'deploy ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/rel
		sed -i 's/^PermitRootLogin.*/PermitRootLogin no/' /etc/ssh/sshd_config && systemctl restart ssh`)
	text, err := os.ReadFile(w.SSHConfigPath())
	if err != nil {
		t.Fatal(err)
	}
	d.ssh = filepath.Join(d.commands, "ssh_config")
	w.rewrite(`host = "choiros-prod-2"`, "host = \"choiros-prod-2\"\nbecome = \"sudo\"")
	real, err := exec.LookPath("ssh")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"ssh_config": "Host choiros-prod-2\n    User deploy\n" + string(text),
		// What rel asks of it has a configuration.
		"ssh": fmt.Sprintf("#!/bin/sh\ncase $* in -G* | -V) exec %s \"$@\" ;; esac\nexec %[1]s -F %s -o BatchMode=yes \"$@\"\n", real, d.ssh),
		"rel": fmt.Sprintf("#!/bin/sh\nexec %s --config %s --journal %s --ssh-config %s \"$@\"\n", rel, w.config, w.journal, d.ssh),
	} {
		if err := os.WriteFile(filepath.Join(d.commands, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// types runs a command as the operator types it.
func (d *doctored) types(command string) (out string, code int) {
	d.t.Helper()
	cmd := exec.CommandContext(d.t.Context(), "/bin/sh", "-c", command)
	cmd.Env = append(os.Environ(), "PATH="+d.commands+":"+os.Getenv("PATH"), "SSH_AUTH_SOCK="+d.agent)
	var talk strings.Builder
	cmd.Stderr = &talk
	b, _ := cmd.Output()
	d.t.Logf("%s: exit %d\n%s%s", command, cmd.ProcessState.ExitCode(), b, talk.String())
	return string(b), cmd.ProcessState.ExitCode()
}

// doctor is what rel doctor finds, and how it ends.
func (d *doctored) doctor(flags string) (list []finding, code int) {
	d.t.Helper()
	out, code := d.types("rel doctor --json " + flags)
	var document struct {
		Schema   int
		Findings []finding
	}
	if err := json.Unmarshal([]byte(out), &document); err != nil || document.Schema != 1 {
		d.t.Fatalf("it printed %v: %s", err, out)
	}
	return document.Findings, code
}

// tree is everything that was written on a host since it was laid out, but for what the
// system itself writes down of logins, and Nix of whoever asks it anything.
func (d *doctored) tree(host string) []string {
	d.t.Helper()
	disk := filepath.Join(d.Dir, "hosts", host, "disk", "upper")
	args := []string{disk, "("}
	for i, name := range []string{"var/log", "run", "var/lib/systemd", "var/lib/caddy", "nix/var/nix/db", "nix/var/nix/temproots",
		"nix/var/nix/gcroots/per-user", "nix/var/nix/profiles/per-user"} {
		if i > 0 {
			args = append(args, "-o")
		}
		args = append(args, "-path", filepath.Join(disk, name))
	}
	return d.find(append(args, ")", "-prune", "-o", "-printf", everything)...)
}

// everything is what find has to say of a file for a change to show.
const everything = `%p %T@ %C@ %s %m %U %l\n`

func (d *doctored) find(args ...string) []string {
	d.t.Helper()
	out, err := exec.Command("find", args...).Output()
	if err != nil {
		d.t.Fatal(err)
	}
	lines := strings.Split(string(out), "\n")
	slices.Sort(lines)
	return lines
}

// ailment is something that is wrong, and what doctor has to say of it.
type ailment struct {
	host, spoil string
	check       string
	how         condition
	says, cure  string
	// mend is what the cure does not do; typed says that the cure itself is to be typed.
	typed bool
	mend  string
}

const lost = "20260101-000000-abcdef0"

func ailments(grind string) []ailment {
	const repo, prod, state = "/opt/choiros/workspace", "choiros-prod", "/var/lib/rel/choiros"
	return []ailment{
		{grind, "git -C " + repo + " checkout -q -b topic", "checkout", failure,
			"has branch topic checked out, not main", "choiros-grind 'git -C " + repo + " checkout main'", true, ""},
		{grind, "sed -i 's/ flakes//' /etc/nix/nix.conf", "flakes", warning, "off in nix.conf", "extra-experimental-features = nix-command flakes", true, ""},
		{grind, "sed -i 's|^substituters.*|substituters = http://canary:hidden@127.0.0.1:1/c|' /etc/nix/nix.conf", "cache", warning,
			"http://127.0.0.1:1/c does not answer: curl: (7)", "curl -sS -i --max-time 10 http://127.0.0.1:1/c/nix-cache-info", false,
			"sed -i 's|^substituters.*|substituters =|' /etc/nix/nix.conf"},
		{prod, "echo mine >>" + repo + "/README.md", "checkout", failure, "has uncommitted changes: M README.md", "git -C " + repo + " status", false,
			"git -C " + repo + " checkout -q README.md"},
		{prod, "systemctl stop hypervisor; mv /etc/systemd/system/hypervisor.service /root/; systemctl daemon-reload", "units", failure,
			"there is no unit hypervisor", "systemctl list-unit-files", false,
			"mv /root/hypervisor.service /etc/systemd/system/; systemctl daemon-reload; systemctl start hypervisor"},
		{prod, "", "check hypervisor", failure, "it does not pass with ", "curl -sS -i --max-time 2 http://127.0.0.1:9090/health", false, ""},
		{prod, "", "drift", warning, "unit hypervisor is inactive", "rel start --force", false, ""},
		{prod, "readlink /opt/choiros/bin/desktop >/root/desktop; rm /opt/choiros/bin/desktop; echo x >/opt/choiros/bin/desktop", "links", failure,
			"/opt/choiros/bin/desktop is not a link", "mv /opt/choiros/bin/desktop /opt/choiros/bin/desktop.aside", true,
			"rm /opt/choiros/bin/desktop.aside; ln -s $(cat /root/desktop) /opt/choiros/bin/desktop"},
		{prod, "mount -t tmpfs -o size=512k none /tmp", "room", failure, "too little room in /tmp: 0 MiB free", "df -h /tmp", false, "umount /tmp"},
		{prod, `echo "restrict $(ssh-keygen -q -t ed25519 -N '' -C x -f /root/k && cut -d' ' -f1,2 /root/k.pub) rel-one-use choiros ` + lost + `" >>/root/.ssh/authorized_keys`,
			"one-use-keys", warning, lost, "authorized_keys", true, ""},
		{prod, "ln -sfn '1|" + lost + "|copy|gone|5|2026-01-01T00:00:00Z|SHA256:x|ana@mbp' " + state + "/hold", "hold", warning,
			"left by promotion " + lost + " of ana@mbp", "rel unlock " + lost + " --config ", true, ""},
		{prod, "touch -d '2 hours ago' " + state + "/releases/.rel-x " + state + "/epoch.new; touch -d '2 hours ago' $(ls -d " + state + "/releases/2*)/new.17.job", "leftovers", warning,
			"2 files of a script that was cut: " + state + "/epoch.new, ", "rm -f " + state + "/epoch.new ", true, "rm " + state + "/releases/.rel-x"},
		{prod, "mkdir -p /nix/var/nix/gcroots/rel/choiros/" + lost, "gc-roots", warning, "promotions that are over: " + lost, "rm -r /nix/var/nix/gcroots/rel/choiros/" + lost, true, ""},
		{prod, "systemd-run --quiet --on-active=1h --unit=rel-guard-choiros-" + lost + "-7 true", "timers", warning, lost,
			"systemctl stop rel-guard-choiros-" + lost + "-7.timer", true, ""},
		{"choiros-prod-2", "chown -R root: " + repo, "checkout", failure, "is not all writable for the login user deploy", "sudo chown -R deploy " + repo, true, ""},
		{"choiros-prod-2", "rm /etc/sudoers.d/rel", "root", failure, "deploy cannot become root with sudo -n", "choiros-prod-2 sudo -n true", false,
			"echo 'deploy ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/rel"},
		{"choiros-prod-3", "systemctl stop ssh", "reached", failure, "cannot reach ", " choiros-prod-3 true", false, "systemctl start ssh"},
	}
}

// TestDoctor breaks more than ten things at once. Each is named with its cure, and none
// keeps another from being seen; what the cures mend by being typed, they mend. All
// through it nothing is changed.
func TestDoctor(t *testing.T) {
	d := newDoctored(t)
	hosts := append([]string{d.BuildHost()}, d.Targets()...)
	d.must(exitOK, "doctor", "--ssh-config", d.ssh).mentions(t, "there is none yet: nothing was promoted from here", "nothing yet", "not there yet, as nothing is live")
	if _, err := os.Stat(filepath.Dir(d.journal)); err == nil {
		t.Error("it made a folder for the journal")
	}
	if _, code := d.types("rel start"); code != exitOK {
		t.Fatalf("rel start: exit %d", code)
	}
	d.well(hosts)
	d.elsewhereFromBuild()
	d.otherJournal()

	list := ailments(d.BuildHost())
	for _, a := range list {
		if a.spoil != "" {
			d.exec(a.host, a.spoil)
		}
	}
	if err := d.Stop(t.Context(), lab.Origin); err != nil {
		t.Fatal(err)
	}
	for _, host := range hosts[:2] {
		list = append(list, ailment{host: host, check: "origin", how: failure, says: "cannot be asked: fatal: ", cure: "ls-remote origin"})
	}
	d.agent = filepath.Join(d.commands, "gone")
	list = append(list, ailment{check: "agent", how: warning, says: "nobody answers at " + d.agent, cure: "ssh-add"})

	before := d.trees(hosts)
	found, code := d.doctor("")
	if code != exitUnreachable {
		t.Errorf("exit %d, want %d", code, exitUnreachable)
	}
	d.same(hosts, before)
	cures := make([]string, len(list))
	for i, a := range list {
		cures[i] = a.in(t, found)
	}
	if out, _ := d.types("rel doctor"); strings.Contains(out, "hidden") || strings.Count(out, "✖") < 10 {
		t.Errorf("for people it printed\n%s", out)
	}

	if err := d.Start(t.Context(), lab.Origin); err != nil {
		t.Fatal(err)
	}
	d.agent = ""
	for i := len(list) - 1; i >= 0; i-- { // what lets us in comes last
		if a := &list[i]; a.typed {
			if _, code := d.types(cures[i]); code != 0 {
				t.Errorf("the cure of %s on %s ended with %d", a.check, a.host, code)
			}
		}
		if list[i].mend != "" {
			d.exec(list[i].host, list[i].mend)
		}
	}
	d.well(hosts)
}

// elsewhereFromBuild has the build host look for two targets where they are not, and a
// key that is none.
func (d *doctored) elsewhereFromBuild() {
	d.t.Helper()
	grind := d.Addr(d.BuildHost())
	d.edit(d.config, filepath.Join(d.Dir, "elsewhere.toml"),
		"host = \"choiros-prod\"\n", "host = \"choiros-prod\"\nfrom_build = \"root@"+grind+"\"\n",
		"host = \"choiros-prod-2\"\n", "host = \"choiros-prod-2\"\nfrom_build = \""+grind+":1\"\n")
	key := filepath.Join(d.commands, "none")
	if err := os.WriteFile(key, []byte("this is no key\n"), 0o600); err != nil {
		d.t.Fatal(err)
	}
	ssh := filepath.Join(d.commands, "keyless")
	d.edit(d.ssh, ssh, " choiros-prod-3\n    User", "\n    User", "Host choiros-prod-3\n",
		"Host choiros-prod-3\n    IdentityFile "+key+"\n    IdentityAgent none\n    StrictHostKeyChecking accept-new\n    UserKnownHostsFile "+d.commands+"/known\n")
	found, code := d.doctor("--config " + filepath.Join(d.Dir, "elsewhere.toml") + " --ssh-config " + ssh)
	if code != exitUnreachable {
		d.t.Errorf("exit %d, want %d", code, exitUnreachable)
	}
	for _, a := range []ailment{
		{host: "choiros-prod", check: "from-build", how: failure, says: "at " + grind + ":22 choiros-grind sees the host key SHA256:", cure: "ssh-keyscan -T 8 -p 22 " + grind},
		{host: "choiros-prod-2", check: "from-build", how: warning, says: "choiros-grind does not reach " + grind + ":1", cure: "ssh-keyscan -T 8 -p 1 " + grind},
		{host: "choiros-prod-3", check: "reached", how: failure, says: key + ": ssh: no key found", cure: " choiros-prod-3"},
	} {
		a.in(d.t, found)
	}
	if _, err := os.Stat(filepath.Join(d.commands, "known")); err == nil {
		d.t.Error("it recorded a host key")
	}
}

// otherJournal has a target's ledger know more than the journal does.
func (d *doctored) otherJournal() {
	d.t.Helper()
	d.exec("choiros-prod", `cd /var/lib/rel/choiros && cp -p ledger.jsonl /root/ && tail -n 1 /root/ledger.jsonl | sed 's/"seq":[0-9]*/"seq":999/' >>ledger.jsonl`)
	defer d.exec("choiros-prod", "mv /root/ledger.jsonl /var/lib/rel/choiros/")
	found, code := d.doctor("")
	if code != exitDamaged {
		d.t.Errorf("exit %d, want %d", code, exitDamaged)
	}
	(&ailment{host: "choiros-prod", check: "ledger", how: failure, says: "is missing: the journal ends with record", cure: "ask whoever could write to the journal"}).in(d.t, found)
}

// edit writes the file anew elsewhere, with old standing as new.
func (d *doctored) edit(from, to string, replace ...string) {
	d.t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(to, []byte(strings.NewReplacer(replace...).Replace(string(text))), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// in looks for the ailment among what was found, and returns its cure.
func (a *ailment) in(t *testing.T, list []finding) string {
	t.Helper()
	for _, f := range list {
		if f.Host == a.host && f.Check == a.check && f.Status == a.how && strings.Contains(f.Text, a.says) && strings.Contains(f.Cure, a.cure) {
			return f.Cure
		}
	}
	t.Errorf("%s: %s: nobody says %q, with the cure %q", a.host, a.check, a.says, a.cure)
	return ""
}

// well wants nothing to be wrong but the age of the lab's Nix, and nothing to be
// changed by asking.
func (d *doctored) well(hosts []string) {
	d.t.Helper()
	before := d.trees(hosts)
	found, code := d.doctor("")
	d.same(hosts, before)
	wrong := slices.DeleteFunc(found, func(f finding) bool { return f.Status == isOK || f.Check == "nix" })
	if code != exitOK || len(wrong) > 0 {
		d.t.Errorf("exit %d, with %+v", code, wrong)
	}
}

// trees are those of the hosts, and of the operator.
func (d *doctored) trees(hosts []string) map[string][]string {
	d.t.Helper()
	trees := map[string][]string{}
	for _, host := range hosts {
		trees[host] = d.tree(host)
	}
	trees["operator"] = d.find(d.Dir, filepath.Dir(filepath.Dir(d.journal)), "(", "-path", filepath.Join(d.Dir, "hosts"),
		"-o", "-path", filepath.Join(d.Dir, "log"), ")", "-prune", "-o", "-printf", everything)
	return trees
}

// same wants nothing to be otherwise than before.
func (d *doctored) same(hosts []string, before map[string][]string) {
	d.t.Helper()
	for name, now := range d.trees(hosts) {
		for _, line := range now {
			if _, there := slices.BinarySearch(before[name], line); !there {
				d.t.Errorf("%s was changed: %s", name, line)
			}
		}
		if len(now) < len(before[name]) {
			d.t.Errorf("%s has lost something", name)
		}
	}
}
