package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// describe is the machine and the versions of all that takes part.
func (s *stand) describe(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var parts []string
	for _, c := range []struct {
		what    string
		command []string
	}{
		{"rel", []string{s.rel, "--version"}}, {"commit", []string{"git", "-C", filepath.Dir(s.rel), "describe", "--always", "--dirty"}},
		{"", []string{"nix", "--version"}}, {"", []string{"ssh", "-V"}},
		{"", []string{"rsync", "--version"}}, {"", []string{"zstd", "--version"}}, {"", []string{"git", "--version"}}, {"Linux", []string{"uname", "-r"}},
	} {
		out, err := exec.CommandContext(ctx, c.command[0], c.command[1:]...).CombinedOutput()
		if err != nil {
			continue
		}
		first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		parts = append(parts, strings.TrimSpace(strings.TrimPrefix(c.what+" "+first, "rel rel ")))
	}
	return fmt.Sprintf("On %s, %s, with %s of memory: %s; load %s at the end.", processor(), fmt.Sprintf("%d processors", runtime.NumCPU()),
		memory(), strings.Join(parts, ", "), load())
}

// valueOf is a line of a file of /proc, by what it begins with.
func valueOf(file, key string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func processor() string {
	if name := valueOf("/proc/cpuinfo", "model name"); name != "" {
		return name
	}
	return runtime.GOARCH
}

func memory() string {
	var kib int64
	if _, err := fmt.Sscan(valueOf("/proc/meminfo", "MemTotal"), &kib); err != nil {
		return "an unknown amount"
	}
	return fmt.Sprintf("%d GB", kib>>20)
}

func load() string {
	text, _ := os.ReadFile("/proc/loadavg")
	return strings.Join(strings.Fields(string(text))[:min(1, len(strings.Fields(string(text))))], "")
}
