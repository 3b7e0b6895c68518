package phases

import (
	"regexp"
	"slices"
	"strings"
)

// parts are the scripts of this package, in files that are written to be read.
var parts = []*string{
	&adoptScript, &anchorsScript, &beatScript, &outputsPart, &buildScript, &watchScript, &evaluateScript, &commitsScript, &compareScript, &inspectSourceScript, &inspectServedScript, &validScript, &bundleScript, &unbundleScript, &fillScript, &sparsePart,
	&realiseScript, &confirmScript, &keepScript, &keysPart, &withdrawScript, &admitScript, &dismissScript, &sourceScript,
	&loginPart, &pushScript, &doctorScript, &journalScript, &holdPart, &takeScript, &prunePart, &leaveScript, &unlockScript,
	&infosPart, &knownScript, &jobHead, &targetHead, &timersPart, &unitsPart, &linksPart, &verbsPart, &startScript,
	&releasesScript, &lookScript, &nixcopyScript, &daemonScript, &repoPart, &pinScript, &reachScript, &receiveScript,
	&laterScript, &weavePart, &sendScript, &unpackScript, &syncScript, &tracesScript, &checkoutScript, &ancestorScript, &extendScript,
}

func init() {
	for _, part := range parts {
		*part = lean(*part)
	}
}

// begins are the parts that many scripts begin with. Packed alone a part is larger than
// with the rest, so of those that few begin with it would not pay.
var begins = []*string{&targetHead, &repoPart}

// Parts are what a script begins with, where others do so as well: whoever sends several to
// one shell need send that but once.
func Parts(code string) (list []string) {
	for {
		i := slices.IndexFunc(begins, func(part *string) bool { return strings.HasPrefix(code, *part) })
		if i < 0 {
			return list
		}
		list, code = append(list, *begins[i]), code[len(*begins[i]):]
	}
}

// lean is a script as it is sent: without its comments, but for the first line, which says
// what it is, and without what its lines are indented by. Of the bytes that a promotion
// takes, the scripts are most, and that is nearly half of them. What is quoted, or in a
// here-document, stays as it is.
func lean(script string) string {
	var b strings.Builder
	var q quoting
	named := false
	for line := range strings.Lines(script) {
		if !q.open() {
			line = strings.TrimLeft(line, " \t")
			comment := strings.HasPrefix(line, "#")
			if strings.TrimSpace(line) == "" || comment && named {
				continue
			}
			named = named || comment
		}
		q.read(line)
		b.WriteString(line)
	}
	return b.String()
}

// quoting is what a line of a script ends within.
type quoting struct {
	// mark is the quotation mark that is open; 0 for none.
	mark byte
	// until is the line that ends a here-document; empty outside of one.
	until string
}

func (q *quoting) open() bool { return q.mark != 0 || q.until != "" }

// read reads a line. It does not know that quotation begins anew within a "$(...)", and
// takes a part of that for quoted, or not, that is not: TestLean tells where that matters.
func (q *quoting) read(line string) {
	if q.until != "" {
		if strings.TrimSuffix(line, "\n") == q.until {
			q.until = ""
		}
		return
	}
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == q.mark:
			q.mark = 0
		case q.mark == '\'':
		case c == '\\':
			i++
		case q.mark != 0:
		case c == '\'', c == '"':
			q.mark = c
		case c == '#' && (i == 0 || strings.IndexByte(" \t;&|(", line[i-1]) >= 0):
			return
		case strings.HasPrefix(line[i:], "<<") && q.until == "":
			if word := heredoc.FindStringSubmatch(line[i+2:]); word != nil {
				q.until = word[1]
			}
			i++
		}
	}
}

// heredoc is what a here-document begins with, after its <<. What else stands there is no
// such word: bits are shifted.
var heredoc = regexp.MustCompile(`^['"]?([A-Z]+)`)
