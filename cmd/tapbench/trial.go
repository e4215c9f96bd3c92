package main

import (
	"errors"
	"runtime"
	"sync"
	"testing"
)

// trial is a stack set up to do one kind of operation, many times.
type trial struct {
	// batch is how many operations one prepare is good for; 0 for any number,
	// and then nothing is prepared.
	batch int
	// prepare makes ready for n operations, at most batch. Its time does not
	// count.
	prepare func(worker, n int) error
	// run does n operations and returns an error unless all of them had the
	// effect they should have. Workers, numbered from 0 to workers()-1, may run
	// at once if the scenario says so.
	run   func(worker, n int) error
	close func()
}

// timer is what a trial needs of *testing.B.
type timer interface {
	StartTimer()
	StopTimer()
}

func workers() int { return runtime.GOMAXPROCS(0) }

// do runs n operations in each of a number of workers, batch by batch.
func (t *trial) do(tm timer, workers, n int) error {
	for n > 0 {
		size := n
		if t.batch > 0 {
			size = min(n, t.batch)
			tm.StopTimer()
			for w := range workers {
				if err := t.prepare(w, size); err != nil {
					return err
				}
			}
			tm.StartTimer()
		}
		if err := t.together(workers, size); err != nil {
			return err
		}
		n -= size
	}
	return nil
}

// together runs n operations in each worker, all at once.
func (t *trial) together(workers, n int) error {
	if workers == 1 {
		return t.run(0, n)
	}
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() { errs[w] = t.run(w, n) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// bench is the trial as a benchmark. In a parallel one an operation is one of any
// worker's, as with testing.B.RunParallel. What goes wrong is left in err, because
// testing.Benchmark does not say.
func (t *trial) bench(s *scenario, err *error) func(b *testing.B) {
	return func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(s.bytes)
		n, w := b.N, 1
		if s.parallel {
			w = workers()
			n = (n + w - 1) / w
		}
		b.ResetTimer()
		if *err = t.do(b, w, n); *err != nil {
			b.Fatal(*err)
		}
	}
}
