package show

import (
	"fmt"
	"strings"
	"time"

	"choir.chat/rel/phases"
)

// rateSpan is how far back the rate of what is sent looks: long enough to be steady, short
// enough to tell of a link that has become slow.
const rateSpan = 15 * time.Second

// progress is how far something is, and was of late.
type progress struct {
	phases.Tick
	samples []sample
}

// sample is how much was done at a time.
type sample struct {
	at   time.Time
	done int64
}

func (p *progress) take(tick phases.Tick, at time.Time) {
	if tick.Done < p.Done {
		p.samples = nil // it began anew
	}
	p.Tick = tick
	for len(p.samples) > 1 && at.Sub(p.samples[1].at) > rateSpan {
		p.samples = p.samples[1:]
	}
	// Several a second are no better than one.
	if n := len(p.samples); n < 2 || at.Sub(p.samples[n-1].at) >= time.Second {
		p.samples = append(p.samples, sample{at, tick.Done})
	}
}

// rate is how much is done in a second; zero, if that is not known yet.
func (p *progress) rate(now time.Time) float64 {
	if len(p.samples) == 0 {
		return 0
	}
	first := p.samples[0]
	took := now.Sub(first.at)
	if took < time.Second {
		return 0
	}
	return float64(p.Done-first.done) / took.Seconds()
}

// text is how far it is, in so many columns if that can be; if they are 0, in any number,
// and without a bar.
func (p *progress) text(now time.Time, width int) string {
	switch p.Unit {
	case phases.Bytes:
		return p.bytes(now, width)
	case phases.Successes:
		return joined("; ", p.What+": "+p.Text, fmt.Sprintf("%d of %d passed", p.Done, p.Total))
	}
	return joined("; ", fmt.Sprintf("%d of %d built", p.Done, p.Total), p.Text)
}

func (p *progress) bytes(now time.Time, width int) string {
	about, rate, left := "", "", ""
	if p.About {
		about = "about "
	}
	perSecond := p.rate(now)
	if perSecond > 0 {
		rate = sizeText(int64(perSecond)) + "/s"
	}
	// An estimate that was too low is no measure any more.
	if p.Total <= 0 || p.Done > p.Total {
		return joined(", ", sizeText(p.Done), rate, p.Text)
	}
	if perSecond > 0 {
		left = about + roundly(time.Duration(float64(p.Total-p.Done)/perSecond*float64(time.Second))) + " left"
	}
	size := fmt.Sprintf("%s of %s%s", sizeText(p.Done), about, sizeText(p.Total))
	most := joined(", ", size, rate, left)
	all := joined(", ", most, p.Text)
	if width == 0 {
		return all
	}
	part := fmt.Sprintf("%d%%", 100*p.Done/p.Total)
	for _, text := range []string{all, most} {
		if room := width - len(text) - 1; room >= shortestBar {
			return bar(p.Done, p.Total, min(room, longestBar)) + " " + text
		}
	}
	for _, text := range []string{joined(", ", part, rate, left), joined(", ", part, left)} {
		if len(text) <= width {
			return text
		}
	}
	return part
}

const shortestBar, longestBar = 12, 32

// bar draws how much of it is done, in characters that have one width everywhere.
func bar(done, total int64, width int) string {
	inner := width - 2
	full := int(float64(inner) * float64(done) / float64(total))
	if full >= inner {
		return "[" + strings.Repeat("=", inner) + "]"
	}
	return "[" + strings.Repeat("=", full) + ">" + strings.Repeat(" ", inner-full-1) + "]"
}

// joined are those of the texts that are not empty.
func joined(between string, texts ...string) string {
	var list []string
	for _, text := range texts {
		if text != "" {
			list = append(list, text)
		}
	}
	return strings.Join(list, between)
}

// sizeText is a number of bytes for people.
func sizeText(n int64) string {
	size, unit := float64(n), 0
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	for size >= 1024 && unit < len(units)-1 {
		size, unit = size/1024, unit+1
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", size, units[unit])
}

// roundly is a duration as far as it can be foreseen.
func roundly(d time.Duration) string {
	to := time.Minute
	switch {
	case d < time.Minute:
		to = time.Second
	case d < time.Hour:
		to = 10 * time.Second
	}
	text := max(d, time.Second).Round(to).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	return text
}
