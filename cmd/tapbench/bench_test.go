package main

import (
	"strings"
	"testing"
)

func BenchmarkNeighbour(b *testing.B)   { benchmark(b) }
func BenchmarkARPExchange(b *testing.B) { benchmark(b) }
func BenchmarkARPRequest(b *testing.B)  { benchmark(b) }
func BenchmarkForward(b *testing.B)     { benchmark(b) }
func BenchmarkEcho(b *testing.B)        { benchmark(b) }
func BenchmarkUDPEcho(b *testing.B)     { benchmark(b) }
func BenchmarkTCPStream(b *testing.B)   { benchmark(b) }

// benchmark runs the scenarios that have the benchmark's name.
func benchmark(b *testing.B) {
	group := strings.TrimPrefix(b.Name(), "Benchmark")
	for _, s := range scenarios() {
		first, rest, _ := strings.Cut(s.name, "/")
		if first != group {
			continue
		}
		for _, side := range s.sides {
			// Opened once for all the numbers of operations that are tried.
			var t *trial
			b.Run(strings.TrimPrefix(rest+"/"+side.name, "/"), func(b *testing.B) {
				var err error
				if t == nil {
					if t, err = side.open(); err != nil {
						b.Fatal(err)
					}
				}
				t.bench(&s, &err)(b)
			})
			if t != nil {
				t.close()
			}
		}
	}
}
