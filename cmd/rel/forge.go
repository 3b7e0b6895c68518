package main

import (
	"fmt"
	"net/url"
	"strings"
)

// compareLink is where a forge shows what lies between two commits; empty, if the origin
// is none that is known.
func compareLink(origin, old, commit string) string {
	host, path := forge(origin)
	if host == "" || strings.Count(path, "/") < 1 {
		return ""
	}
	base := "https://" + host + "/" + path
	switch {
	case host == "github.com", host == "codeberg.org", host == "gitea.com":
		return fmt.Sprintf("%s/compare/%s...%s", base, old, commit)
	case host == "gitlab.com", strings.HasPrefix(host, "gitlab."):
		return fmt.Sprintf("%s/-/compare/%s...%s", base, old, commit)
	case host == "bitbucket.org":
		return fmt.Sprintf("%s/branches/compare/%s%%0D%s", base, commit, old)
	}
	return ""
}

// forge is the host of an origin, and the repository's path there, of https://, ssh:// and
// user@host:path alike. Who logs in, and with what, is left out.
func forge(origin string) (host, path string) {
	if u, err := url.Parse(origin); err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "ssh" || u.Scheme == "http") {
		host, path = u.Hostname(), u.Path
	} else if before, after, ok := strings.Cut(origin, ":"); ok && !strings.Contains(origin, "://") && !strings.Contains(before, "/") {
		host, path = before[strings.LastIndexByte(before, '@')+1:], after
	}
	path = strings.TrimSuffix(strings.Trim(path, "/"), ".git")
	for _, c := range host + path {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789./_-", c) {
			return "", ""
		}
	}
	return strings.ToLower(host), path
}
