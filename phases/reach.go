package phases

import (
	"context"
	_ "embed"
	"net"
)

//go:embed doctor-reach.sh
var reachScript string

// Reach asks a host which key the sshd at address shows it: all of them, or that of
// the given type. None means that it does not get there, and said may say why.
func Reach(ctx context.Context, host Host, address, keyType string) (keys []string, said string, err error) {
	name, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, "", err
	}
	out, err := host.Run(ctx, Script{Name: "doctor-reach.sh", Code: reachScript, Reads: true,
		Env: map[string]string{"HOST": name, "PORT": port, "TYPE": keyType}})
	if err != nil {
		return nil, "", err
	}
	a, err := parseAnswer(host.Name(), "doctor-reach.sh", out)
	return a.all("key"), a.get("error"), err
}
