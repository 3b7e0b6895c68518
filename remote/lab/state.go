package lab

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// maxTargets keeps the addresses below the end of the subnet, with room for what a test may add.
const maxTargets = 50

// state is lab.json: what Up was going to make. It is written before the first thing is made and once more, Ready,
// after the last. It holds no pids: which processes are the lab's is asked of the kernel.
type state struct {
	Dir    string   `json:"dir"`
	Bridge string   `json:"bridge"`
	Subnet string   `json:"subnet"` // the first three numbers: "10.77.3"
	Hosts  []member `json:"hosts"`  // the build host first
	Ready  bool     `json:"ready"`
}

// member is a host as lab.json names it.
type member struct {
	Name    string `json:"name"`    // choiros-prod
	Machine string `json:"machine"` // of systemd-nspawn, and of its cgroup: rl1a2b3-p1
	Addr    string `json:"addr"`
	Build   bool   `json:"build,omitempty"`
}

// newState names everything after the folder, so that two labs never share a name.
func newState(dir string, targets int) state {
	s := state{Dir: dir, Bridge: bridgeOf(dir)}
	s.Hosts = append(s.Hosts, member{Name: "choiros-grind", Machine: s.Bridge + "-g", Build: true})
	for i := 1; i <= targets; i++ {
		name := "choiros-prod"
		if i > 1 {
			name += "-" + strconv.Itoa(i)
		}
		s.Hosts = append(s.Hosts, member{Name: name, Machine: s.Bridge + "-p" + strconv.Itoa(i)})
	}
	return s
}

// bridgeOf is the bridge of the lab in dir. With "vb-" before it and "-p50" after it, it is still an interface's name,
// which has at most 15 characters.
func bridgeOf(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return "rl" + hex.EncodeToString(sum[:3])
}

// bridgeMAC is the bridge's hardware address: a locally administered one (RFC 7042, 2.1).
func bridgeMAC(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return fmt.Sprintf("02:%02x:%02x:%02x:%02x:%02x", sum[12], sum[13], sum[14], sum[15], sum[16])
}

// seedOf is a number that a lab's folder alone decides.
func seedOf(dir string) uint32 {
	sum := sha256.Sum256([]byte(dir))
	return binary.BigEndian.Uint32(sum[8:])
}

// settle gives the lab a subnet and each host its address in it.
func (s *state) settle(subnet string) {
	s.Subnet = subnet
	for i := range s.Hosts {
		s.Hosts[i].Addr = fmt.Sprintf("%s.%d", subnet, 10+i)
	}
}

// gateway is the machine's own address on the bridge, where the origin listens.
func (s *state) gateway() string { return s.Subnet + ".1" }

// originURL is the origin as every host clones it.
func (s *state) originURL() string { return "git://" + s.gateway() + "/choiros.git" }

func (s *state) write() error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return writeByRename(statePath(s.Dir), append(b, '\n'), 0o600)
}

func statePath(dir string) string { return filepath.Join(dir, "lab.json") }

// readState is fs.ErrNotExist if there is no lab.json.
func readState(dir string) (state, error) {
	var s state
	b, err := os.ReadFile(statePath(dir))
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("%s is not a lab's: %w", statePath(dir), err)
	}
	if s.Dir != dir || s.Bridge != bridgeOf(dir) || len(s.Hosts) == 0 {
		return s, fmt.Errorf("%s is not the one of a lab in %s", statePath(dir), dir)
	}
	return s, nil
}

// plainPath are the paths that need no quoting in overlay options, ssh_config and unit files.
var plainPath = regexp.MustCompile(`^/[A-Za-z0-9._/+@=-]+$`)

// cleanDir is dir as the kernel names it, since mounts and command lines are compared with it.
func cleanDir(dir string) (string, error) {
	if dir == "" {
		dir = DefaultDir
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		abs = real
	} else if parent, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil {
		abs = filepath.Join(parent, filepath.Base(abs))
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if !plainPath.MatchString(abs) || strings.Count(abs, "/") < 2 {
		return "", fmt.Errorf("%q cannot be a lab's folder: it must be two levels deep and of letters, digits and ._+@=-", abs)
	}
	return abs, nil
}

// writeByRename puts a whole file in place or none.
func writeByRename(path string, b []byte, mode os.FileMode) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, b, mode); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
