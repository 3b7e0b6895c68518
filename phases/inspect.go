package phases

import (
	"context"
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

//go:embed inspect-source.sh
var inspectSourceScript string

//go:embed inspect-served.sh
var inspectServedScript string

// evalPatience is what one evaluation of a flake may take: it may have to fetch its
// inputs first. All flakes of a checkout together have three times as long.
const evalPatience = time.Minute

// InspectPatience bounds what a host is asked by [InspectSource] or [InspectServed]: the
// evaluations (one of the system, three times as long for the flakes, and the last of
// those may take three more), and something for the rest.
const InspectPatience = 8 * evalPatience

// Source is what a build host has to build.
type Source struct {
	// Checkout is "yes", "none", or "not-ours" if Git trusts it to another user alone.
	Checkout string
	// Within is the folder of the checkout that was asked about; empty for its top.
	Within string
	// Origin is its address without a password; Branch the one that is checked out, if
	// one is.
	Origin, Branch, Head string
	// Nix is the version line; NixError what the host said where there is none.
	Nix, NixError string
	Packages      []Package
	// Failed are the flakes that could not be evaluated, and what Nix said.
	Failed []FlakeError
}

// Package is an output of a flake.
type Package struct {
	// Folder is the flake's, as in ./sandbox; Attribute what the package is called
	// there, Name without its version. Program is its meta.mainProgram, and Output its
	// store path, where they are known.
	Folder, Attribute, Name, Program, Output string
	// Binaries are the programs in its bin, where it is built.
	Binaries []string
}

// Flake is the output as Nix is asked for it.
func (p *Package) Flake() string { return p.Folder + "#" + p.Attribute }

// FlakeError is why a flake could not be evaluated.
type FlakeError struct{ Folder, Said string }

// Served is what a target serves.
type Served struct {
	// Root says whether root has looked; Checkout whether there is one, and Head at
	// which commit.
	Root, Checkout bool
	Head           string
	Links          []Link
	// Wanted are links that units run, and that are not there.
	Wanted   []string
	Services []Service
	// Templates are those of units that run what a link leads to.
	Templates []Service
}

// Link is a symbolic link to a program: To is what it points at, End where that ends;
// empty, if nothing is there.
type Link struct{ Path, To, End string }

// Leads is where the link leads, or would if that were still there.
func (l *Link) Leads() string {
	if l.End == "" {
		return l.To
	}
	return l.End
}

// Service is a service that runs what a link leads to, or will.
type Service struct {
	// Name ends with .service; Type and State are systemd's words.
	Name, Type, State string
	// Program is what it starts, Command how, as systemd shows it; File is what its main
	// process runs, if that is known.
	Program, Command, File string
	// After are the units that it is started after.
	After []string
	// Listens are the TCP addresses that its processes listen on.
	Listens []netip.AddrPort
}

// InspectSource asks a build host what there is to build in repo. It changes nothing.
func InspectSource(ctx context.Context, host Host, repo string) (*Source, error) {
	out, err := host.Run(ctx, Script{Name: "inspect-source.sh", Code: inspectSourceScript, Reads: true, Env: map[string]string{
		"REPO": repo, "PATIENCE": strconv.Itoa(int(evalPatience.Seconds())),
	}})
	if err != nil {
		return nil, err
	}
	a, err := parseAnswer(host.Name(), "inspect-source.sh", out)
	if err != nil {
		return nil, err
	}
	s := &Source{Checkout: a.get("checkout"), Within: a.get("within"), Origin: a.get("origin"), Branch: a.get("branch"),
		Head: a.get("head"), Nix: a.get("nix"), NixError: a.get("nix_error")}
	for _, row := range a.all("package") {
		f := fields(row, 5)
		s.Packages = append(s.Packages, Package{Folder: f[0], Attribute: f[1], Name: f[2], Program: f[3], Output: f[4]})
	}
	for _, row := range a.all("binary") {
		f := fields(row, 3)
		for i := range s.Packages {
			if p := &s.Packages[i]; p.Folder == f[0] && p.Attribute == f[1] {
				p.Binaries = append(p.Binaries, f[2])
			}
		}
	}
	for _, row := range a.all("flake_error") {
		f := fields(row, 2)
		s.Failed = append(s.Failed, FlakeError{f[0], f[1]})
	}
	return s, nil
}

// InspectServed asks a target what it serves, and whether it has a checkout in repo. With
// root it sees more. It changes nothing.
func InspectServed(ctx context.Context, host Host, repo string, root bool) (*Served, error) {
	out, err := host.Run(ctx, Script{Name: "inspect-served.sh", Code: inspectServedScript, Root: root, Reads: true,
		Env: map[string]string{"REPO": repo}})
	if err != nil {
		return nil, err
	}
	a, err := parseAnswer(host.Name(), "inspect-served.sh", out)
	if err != nil {
		return nil, err
	}
	s := &Served{Root: a.get("root") == "yes", Checkout: a.get("checkout") == "yes", Head: a.get("head"), Wanted: a.all("wanted")}
	for _, row := range a.all("link") {
		f := fields(row, 3)
		s.Links = append(s.Links, Link{f[0], f[1], f[2]})
	}
	listens := map[string][]netip.AddrPort{}
	for _, row := range a.all("port") {
		f := fields(row, 2)
		if address, ok := socket(f[1]); ok {
			listens[f[0]] = append(listens[f[0]], address)
		}
	}
	seen := map[string]bool{}
	for _, row := range a.all("unit") {
		f := fields(row, 7)
		if seen[f[0]] {
			continue // it has two names
		}
		seen[f[0]] = true
		s.Services = append(s.Services, Service{Name: f[0], Type: f[1], State: f[2], Program: f[3], File: f[4],
			After: strings.Fields(f[5]), Command: f[6], Listens: listens[f[0]]})
	}
	for _, row := range a.all("template") {
		f := fields(row, 2)
		s.Templates = append(s.Templates, Service{Name: f[0], Command: f[1]})
	}
	return s, nil
}

// fields are the first n of a row; what it does not know is a dash, and empty here.
func fields(row string, n int) []string {
	list := strings.SplitN(row, "\t", n)
	for i, field := range list {
		if field == "-" {
			list[i] = ""
		}
	}
	for len(list) < n {
		list = append(list, "")
	}
	return list
}

// socket is an address of /proc/net/tcp or tcp6: words of four bytes, each in the order
// of the machine, and a port. Machines that rel runs on have the least byte first.
func socket(text string) (netip.AddrPort, bool) {
	address, port, _ := strings.Cut(text, ":")
	b, err := hex.DecodeString(address)
	n, portErr := strconv.ParseUint(port, 16, 16)
	if err != nil || portErr != nil || n == 0 || len(b) != 4 && len(b) != 16 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(b); i += 4 {
		binary.BigEndian.PutUint32(b[i:], binary.LittleEndian.Uint32(b[i:]))
	}
	ip, _ := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)), true
}
