package main

// deeds is what the scripts that run on hosts are for, in the operator's words: they are
// rel's own, and nobody else knows them by their names.
var deeds = map[string]string{
	"admit.sh":          "letting the build host in for the copy",
	"adopt.sh":          "recording what is live",
	"ancestor.sh":       "comparing the live commit with this one",
	"anchors.sh":        "reading the target's ledger",
	"beat.sh":           "keeping the hold",
	"build.sh":          "the build",
	"bundle.sh":         "packing what the targets lack",
	"checkout.sh":       "looking at the checkout",
	"commits.sh":        "listing the commits",
	"compare.sh":        "comparing the closures",
	"confirm.sh":        "confirming the release",
	"dismiss.sh":        "taking the key of the copy away",
	"doctor-reach.sh":   "looking from the build host at the targets",
	"doctor-traces.sh":  "looking for what promotions have left",
	"doctor.sh":         "looking at the host",
	"evaluate.sh":       "evaluating what is to be built",
	"extend.sh":         "opening the confirm window anew",
	"fill.sh":           "filling the cache",
	"inspect-served.sh": "looking at what is served",
	"inspect-source.sh": "looking at the sources",
	"journal.sh":        "reading the units' logs",
	"keep.sh":           "keeping the release without a timer",
	"known.sh":          "asking what Nix knows of store paths",
	"leave.sh":          "giving the hold back",
	"look.sh":           "looking at the target",
	"nixcopy.sh":        "nix copy",
	"pin.sh":            "asking the origin for the commit",
	"push.sh":           "sending what the target lacks",
	"realise.sh":        "fetching the closure from the cache",
	"receive.sh":        "receiving the release",
	"releases.sh":       "reading the releases on record",
	"send.sh":           "sending what the target lacks",
	"source.sh":         "asking for its own address",
	"start.sh":          "starting the job that applies the release",
	"sync.sh":           "bringing the checkout to the commit",
	"take.sh":           "taking the hold",
	"unbundle.sh":       "taking away what was packed",
	"unlock.sh":         "taking the hold away",
	"unpack.sh":         "taking the closure into the store",
	"valid.sh":          "asking which store paths are there",
	"watch.sh":          "telling which artifacts are built",
}

// deed is what a script is called where it fails.
func deed(script string) string {
	if known := deeds[script]; known != "" {
		return known
	}
	return script
}
