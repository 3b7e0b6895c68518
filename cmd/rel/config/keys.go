package config

// Key is a key of rel.toml, as rel.toml(5) and doc/config.md list it.
type Key struct {
	// Name is with its table's; check.url is url in a [[check]].
	Name string
	// Value is its default, or what it is like where it has to be given.
	Value string
	// Text says what it is for.
	Text string
}

// Needed stands for a key that has to be given.
const Needed = "(needed)"

// Keys are all keys of rel.toml: TestKeys holds them against the struct that reads it.
var Keys = []Key{
	{"app", Needed, `what is promoted; part of paths and of unit names on the targets: small letters, digits and "-", at most 31`},
	{"branch", `"main"`, "the branch of the origin whose tip is promoted, and on which a commit has to be"},
	{"repo", "", "the checkout, on every host that does not say otherwise; the build host needs one"},
	{"manifest", `"/tmp/<app>-release.env"`, "where the release is written down as KEY=value lines: on the build host once it is built, on the targets once it is confirmed"},
	{"confirm", `"2m"`, `how long a target waits, once it is applied, before it goes back by itself, at most "20m"; "0s": never`},
	{"on_unhealthy", `"revert"`, `what becomes of a release that fails its checks; or "keep"`},
	{"keep", "5", "how many healthy releases stay pinned on each target; the live one and the one before it always are"},
	{"become", "", `"sudo", "doas" or "run0", where the login on the targets is not root's`},
	{"become_password", "", `"ask": sudo wants a password, which is asked for once per run and target if it does; it goes over standard input, and is kept nowhere`},
	{"become_command", "", `another command in place of become, such as "ksu -q -e": words that are split at blanks and that no shell reads`},

	{"build.host", Needed, "the build host: an alias of the SSH configuration, or user@host:port"},
	{"build.repo", "repo", "the checkout there"},

	{"target.host", Needed, "a target, named as the build host is; there is a [[target]] for each"},
	{"target.repo", "repo", `the checkout there; "": there is none`},
	{"target.from_build", "", "how the build host reaches the target, as [user@]host[:port]; without it, as this machine does"},
	{"target.become", "become", `as above, for this target; "": its login is root's`},
	{"target.become_password", "become_password", "as above, for this target"},
	{"target.become_command", "become_command", "as above, for this target"},

	{"artifact.name", Needed, "what it is called: in the manifest, and in the pins on the targets; there is an [[artifact]] for each"},
	{"artifact.flake", Needed, `the flake output to build, seen from the checkout: "./hypervisor#hypervisor"`},
	{"artifact.binary", Needed, "the program, seen from the output's store path"},
	{"artifact.link", Needed, "the link on the targets that is made to lead to the program"},

	{"services.restart", "[]", "the units to restart, in this order"},
	{"services.settle", `"4s"`, "how long the restarted units must stay up before the apply has succeeded: whole seconds, at most a minute"},

	{"check.name", Needed, "what the check is called; there is a [[check]] for each"},
	{"check.from", `"target"`, `who asks: "target", through the SSH connection, as the target sees it; or "operator"`},
	{"check.url", Needed, "what is asked; redirects are not followed"},
	{"check.any_of", "", "several URLs in place of url: one that answers is enough"},
	{"check.status", "200", "the status that the answer must have"},
	{"check.body", "", "what the answer must contain"},
	{"check.location", "", "where a redirect must lead"},
	{"check.header", "", `a header that the answer must have: "X-Release: ${sha}"`},
	{"check.resolve", "", "the address to connect to, in place of the one that the name has"},
	{"check.insecure", "false", "whether the certificate is left unchecked"},
	{"check.ca", "", "a PEM file of authorities to trust, seen from rel.toml"},
	{"check.start_period", `"5s"`, "how long a failure does not count at first"},
	{"check.interval", `"1s"`, "how often it is asked; at once where the answer took longer"},
	{"check.timeout", `"5s"`, "how long an answer may take"},
	{"check.successes", "2", "how many good answers in a row are wanted"},
	{"check.deadline", `"1m"`, "how long it may take, from the end of start_period"},

	{"copy.via", `"auto"`, `how store paths get to the targets: "direct", the build host sends them; "relay", they go through this machine; "auto", what is there sooner; "nix-copy", as direct, by Nix's own copy; "cache", through a binary cache`},
	{"copy.cache", "", "the URL of that cache (s3://, https://, http://, file://): the build host fills it once, the targets take what they lack from it, and have to trust the key that it is signed with"},

	{"limit.<phase>.deadline", `"10m", "5m", "3h", "3h", "30m", "30m"`, "the longest that one attempt at sync, verify, build, copy, apply or health may take"},
	{"limit.<phase>.silence", `"5m", "2m", "1h", "10m", none, none`, "the longest that no host may be heard of meanwhile"},
}

// Example is as little as a configuration can be with a check that means something.
const Example = `app  = "choiros"
repo = "/opt/choiros/workspace"

[build]
host = "choiros-grind"

[[target]]
host = "choiros-prod"

[[artifact]]
name   = "hypervisor"
flake  = "./hypervisor#hypervisor"
binary = "bin/hypervisor"
link   = "/opt/choiros/bin/hypervisor"

[services]
restart = ["hypervisor"]

[[check]]
name = "hypervisor"
url  = "http://127.0.0.1:9090/health"
body = "${sha}"
`
