package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link/linktest"
)

type noTimer struct{}

func (noTimer) StartTimer() {}
func (noTimer) StopTimer()  {}

// Each scenario does with each stack what it says, more than one batch of it.
func TestScenarios(t *testing.T) {
	for _, s := range scenarios() {
		if strings.Contains(s.name, "/100k") {
			continue // as 1k, but slow to set up
		}
		for _, side := range s.sides {
			t.Run(s.name+"/"+side.name, func(t *testing.T) {
				linktest.WantNoPackets(t)
				trial, err := side.open()
				require.NoError(t, err)
				defer trial.close()
				n := 1
				if s.parallel {
					n = workers()
				}
				require.NoError(t, trial.do(noTimer{}, n, 1))
				require.NoError(t, trial.do(noTimer{}, n, max(3, trial.batch+1)))
			})
		}
	}
}
