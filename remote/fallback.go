package remote

import (
	"errors"
	"maps"
	"net/netip"
	"os/user"
	"slices"
	"strings"

	"github.com/kevinburke/ssh_config"
)

// What follows stands in for ssh -G where there is no ssh. It reads what it is sure to
// read as OpenSSH does and refuses the rest (readable.go), above all Match.

// systemConfig is read after the operator's own file.
const systemConfig = "/etc/ssh/ssh_config"

// unset are OpenSSH's defaults, where rel has no other.
var unset = map[string][]string{
	"identityfile":         {"~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ecdsa_sk", "~/.ssh/id_ed25519", "~/.ssh/id_ed25519_sk"},
	"userknownhostsfile":   {"~/.ssh/known_hosts ~/.ssh/known_hosts2"},
	"globalknownhostsfile": {"/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"},
	// x/crypto would take ssh-rsa too, which is SHA-1.
	"casignaturealgorithms": {"ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521," +
		"sk-ssh-ed25519@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,rsa-sha2-256"},
}

// route are the keywords that the tokens of the others stand for.
var route = []string{"hostkeyalias", "hostname", "port", "user", "proxyjump", "proxycommand"}

// readSettings is resolve without ssh.
func readSettings(configFile string, to destination) (*settings, error) {
	files, err := readConfigs(configFile)
	if err != nil {
		return nil, &ConfigError{Host: to.name, Reason: err.Error()}
	}
	config := func(key string) (values []string) {
		for _, file := range files {
			// It fails only on nodes that its parser does not make.
			found, _ := file.GetAll(to.host, key)
			values = append(values, found...)
		}
		return values
	}
	if value := first("", config("canonicalizehostname")); value != "" && value != "no" {
		return nil, &ConfigError{Host: to.name, Option: "canonicalizehostname " + value, Reason: "takes ssh to be acted on: " + installSSH}
	}
	s := newSettings(to)
	if err := s.setRoute(to, config); err != nil {
		return nil, err
	}
	for _, key := range slices.Sorted(maps.Keys(keywords)) {
		if keywords[key].take == nil || slices.Contains(route, key) {
			continue
		}
		if err := s.setRead(key, config(key)); err != nil {
			return nil, err
		}
	}
	return s, s.finish()
}

// setRoute sets how the host is reached: what the destination says goes before the
// configuration.
func (s *settings) setRoute(to destination, config func(string) []string) error {
	me, err := user.Current()
	if err != nil {
		return err
	}
	s.host = to.host // it is what %h stands for in a HostName
	host := to.host
	if named := config("hostname"); len(named) > 0 {
		if host, err = s.expand(named[0], "h", false); err != nil {
			return err
		}
	}
	if _, err := netip.ParseAddr(host); err != nil {
		host = strings.ToLower(host)
	}
	jumps, command := config("proxyjump"), config("proxycommand")
	if to.through != "" {
		jumps, command = []string{to.through}, nil
	}
	if len(jumps) > 0 && len(command) > 0 {
		return &ConfigError{Host: s.alias, Option: "both a ProxyJump and a ProxyCommand", Reason: "take ssh to choose from: " + installSSH}
	}
	for i, value := range []string{
		first("", config("hostkeyalias")), host, first(to.port, append(config("port"), "22")), first(to.user, append(config("user"), me.Username)),
		first("", jumps), first("", command),
	} {
		if value == "" {
			continue
		}
		if err := s.set(route[i], value); err != nil {
			return err
		}
	}
	return nil
}

func first(value string, others []string) string {
	if value == "" && len(others) > 0 {
		return others[0]
	}
	return value
}

// setRead sets what a keyword has in the files: all of it where each adds to those
// before, else the first. ssh -G would have expanded some of it.
func (s *settings) setRead(key string, values []string) (err error) {
	if len(values) == 0 {
		values = unset[key]
	}
	if len(values) > 1 && key != "identityfile" && key != "certificatefile" {
		values = values[:1]
	}
	for _, value := range values {
		switch key {
		case "identityagent":
			value, err = s.expandFile(value)
		case "userknownhostsfile", "revokedhostkeys":
			names := strings.Fields(value)
			for i := range names {
				name, failed := s.expandFile(names[i])
				names[i], err = name, errors.Join(err, failed)
			}
			value = strings.Join(names, " ")
		}
		if err != nil {
			return err
		}
		if err := s.set(key, value); err != nil {
			return err
		}
	}
	return nil
}

// readConfigs reads the file that was named or, without one, the operator's and the
// system's.
func readConfigs(configFile string) ([]*ssh_config.Config, error) {
	if configFile != "" {
		config, err := readConfig(configFile, false)
		return []*ssh_config.Config{config}, err
	}
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	own, err := readConfig(me.HomeDir+"/.ssh/config", true)
	if err != nil {
		return nil, err
	}
	system, err := readConfig(systemConfig, true)
	return []*ssh_config.Config{own, system}, err
}
