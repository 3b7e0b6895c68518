package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
)

// part is a module that is linked into a binary.
type part struct {
	Path, Version, Sum string
	// License is its SPDX name, and Text what it says.
	License, Text string
}

// parts are the modules of a binary, with their licences as the module cache has them; Go's
// own library is the first.
func (b *build) parts(ctx context.Context, info *debug.BuildInfo) ([]part, error) {
	paths := []string{"list", "-m", "-json"}
	sums := map[string]string{}
	for _, dep := range info.Deps {
		if dep.Replace != nil {
			return nil, fmt.Errorf("%s is replaced: go install would refuse it", dep.Path)
		}
		paths, sums[dep.Path] = append(paths, dep.Path), dep.Sum
	}
	text, err := output(ctx, nil, b.Go, paths...)
	if err != nil {
		return nil, err
	}
	root, err := output(ctx, nil, b.Go, "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	std, err := licensed(part{Path: "std", Version: strings.TrimPrefix(info.GoVersion, "go")}, root)
	if err != nil {
		return nil, err
	}
	list := []part{std}
	for decoder := json.NewDecoder(strings.NewReader(text)); ; {
		var module struct{ Path, Version, Dir string }
		if err := decoder.Decode(&module); errors.Is(err, io.EOF) {
			return list, nil
		} else if err != nil {
			return nil, err
		}
		p, err := licensed(part{Path: module.Path, Version: module.Version, Sum: sums[module.Path]}, module.Dir)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
}

var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying)(\.(txt|md))?$`)

// licensed adds the licence that lies in the module's folder.
func licensed(p part, dir string) (part, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return p, err
	}
	at := slices.IndexFunc(entries, func(e os.DirEntry) bool { return licenceFile.MatchString(e.Name()) })
	if at < 0 {
		return p, fmt.Errorf("%s has no licence in %s", p.Path, dir)
	}
	text, err := os.ReadFile(filepath.Join(dir, entries[at].Name()))
	if err != nil {
		return p, err
	}
	if p.Text, p.License = string(text), spdx(string(text)); p.License == "" {
		return p, fmt.Errorf("%s has a licence that is not known: read %s, and add it to spdx", p.Path, entries[at].Name())
	}
	return p, nil
}

// spdx is the SPDX name of a licence by what is said in it and in no other; empty, if it is
// none of those that rel's modules have.
func spdx(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	has := func(words string) bool { return strings.Contains(text, words) }
	switch {
	case has("Apache License Version 2.0"):
		return "Apache-2.0"
	case has("Mozilla Public License Version 2.0"):
		return "MPL-2.0"
	case has("Redistribution and use in source and binary forms") && (has("Neither the name of") || has("names of its contributors")):
		return "BSD-3-Clause"
	case has("Redistribution and use in source and binary forms"):
		return "BSD-2-Clause"
	case has("Permission is hereby granted, free of charge, to any person obtaining a copy"):
		return "MIT"
	}
	return ""
}

// notices are the licences of all parts: most of them want to go with the binary.
func notices(parts []part) []byte {
	var text strings.Builder
	text.WriteString("rel is made with these. Their source is that of the Go modules of these names and versions.\n")
	for _, p := range parts {
		fmt.Fprintf(&text, "\n%s\n%s %s (%s)\n%s\n\n%s\n", strings.Repeat("=", 72), p.Path, p.Version, p.License, strings.Repeat("=", 72), strings.TrimSpace(p.Text))
	}
	return []byte(text.String())
}
