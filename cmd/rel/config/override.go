package config

// Override is what flags say in place of the file; what is empty leaves it as it is.
type Override struct {
	// Repo is the checkout on every host, BuildRepo and TargetRepo that on the ones.
	Repo, BuildRepo, TargetRepo string
	BuildHost, Manifest         string
	Targets                     []string
}

// Override takes the flags' word over the file's. What is found wrong from then on has no
// place in the file.
func (f *File) Override(o Override) {
	f.places = nil
	if o.BuildHost != "" {
		f.Build.Host = o.BuildHost
	}
	if o.Manifest != "" {
		f.Manifest = o.Manifest
	}
	if o.Repo != "" {
		f.Repo, f.Build.Repo = o.Repo, nil
	}
	if o.BuildRepo != "" {
		f.Build.Repo = &o.BuildRepo
	}
	if len(o.Targets) > 0 {
		f.Target = f.only(o.Targets)
	}
	for i := range f.Target {
		switch t := &f.Target[i]; {
		case o.TargetRepo != "":
			t.Repo = &o.TargetRepo
		case o.Repo != "":
			t.Repo = nil
		}
	}
}

// only are those targets. One that the file has keeps what else is said of it.
func (f *File) only(hosts []string) (targets []Target) {
	known := map[string]Target{}
	for _, t := range f.Target {
		known[t.Host] = t
	}
	for _, host := range hosts {
		t := known[host]
		t.Host = host
		targets = append(targets, t)
	}
	return targets
}
