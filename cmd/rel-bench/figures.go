package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"choir.chat/rel/remote/lab/link"
)

// median is the middle of the values, of two middles the mean.
func median[T cmp.Ordered](values []T, mean func(a, b T) T) T {
	list := slices.Clone(values)
	slices.Sort(list)
	middle := len(list) / 2
	if len(list)%2 == 1 {
		return list[middle]
	}
	return mean(list[middle-1], list[middle])
}

// medianOf is the median of a figure of the runs.
func medianOf[T ~int | ~int64](runs []run, figure func(*run) T) T {
	var list []T
	for i := range runs {
		list = append(list, figure(&runs[i]))
	}
	return median(list, func(a, b T) T { return a + (b-a)/2 })
}

func wall(r *run) time.Duration { return r.Wall }

// handshakes are the round trips that no release can do without: to log in at the hosts, side by side, and at the target
// once more to confirm; where nothing changed, to find that out; to copy, the build host's login at the target.
func handshakes(t *trial) int {
	if t.extra != "" || t.bump == nil && !t.first {
		return link.Dial
	}
	return 2 * link.Dial
}

// limit is the least time that the case can take in that place: what must be waited for, and what must be sent.
func limit(t *trial, p place, least int64) time.Duration {
	d := time.Duration(handshakes(t)) * p.RTT
	if p.Rate > 0 {
		d += time.Duration(float64(least) / float64(p.Rate) * float64(time.Second))
	}
	return d
}

func brief(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func size(n int64) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f KB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d B", n)
}
