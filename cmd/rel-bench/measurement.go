package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// measurement is what one run of this program has measured.
type measurement struct {
	// About is where that was, and Took how long.
	About string        `json:"about"`
	Took  time.Duration `json:"took"`
	// Help is how long `rel --help` takes, SSH how long `ssh -V` beside it.
	Help time.Duration `json:"help"`
	SSH  time.Duration `json:"ssh"`
	runs []run
}

// again reports earlier measurements.
func again(o options) error {
	var list []measurement
	for _, path := range o.From {
		m, err := readMeasurement(path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		list = append(list, m)
	}
	return os.WriteFile(o.Out, []byte(report(list, o.Remark)), 0o644)
}

// write writes it as JSON: itself, and a line for each run.
func (m *measurement) write(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(f)
	err = encoder.Encode(m)
	for i := range m.runs {
		err = errors.Join(err, encoder.Encode(&m.runs[i]))
	}
	return errors.Join(err, f.Close())
}

func readMeasurement(path string) (m measurement, err error) {
	f, err := os.Open(path)
	if err != nil {
		return m, err
	}
	defer f.Close()
	decoder := json.NewDecoder(f)
	if err := decoder.Decode(&m); err != nil {
		return m, err
	}
	for {
		var r run
		if err := decoder.Decode(&r); err == io.EOF {
			return m, nil
		} else if err != nil {
			return m, err
		}
		m.runs = append(m.runs, r)
	}
}

// lightRuns is how often each of the two is run for light: they are short.
const lightRuns = 25

// light is how long rel and ssh take to say what they are, in turn; the medians.
func (s *stand) light(ctx context.Context) (help, ssh time.Duration, err error) {
	var took [2][]time.Duration
	for range lightRuns {
		for i, args := range [][]string{{s.rel, "--help"}, {"ssh", "-V"}} {
			r, err := command(ctx, s.scratch, nil, args[0], args[1:]...)
			if err != nil {
				return 0, 0, err
			}
			took[i] = append(took[i], r.Wall)
		}
	}
	mean := func(a, b time.Duration) time.Duration { return a + (b-a)/2 }
	return median(took[0], mean), median(took[1], mean), nil
}
