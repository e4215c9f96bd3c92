package tcp

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSentQueue(t *testing.T) {
	var q sentQueue
	for round := range 5 {
		for i := range 7 + round {
			q.push(sentSegment{start: Seq(100 * i), end: Seq(100*i + 100)})
		}
		require.Equal(t, 7+round, q.len())
		require.Equal(t, -1, q.firstLost())
		q.at(3).lost = true
		q.split(3, 350)
		require.Equal(t, 3, q.firstLost())
		require.Equal(t, sentSegment{start: 300, end: 350, lost: true}, *q.at(3))
		require.Equal(t, sentSegment{start: 350, end: 400, lost: true}, *q.at(4))
		require.Equal(t, sentSegment{start: 400, end: 500}, *q.at(5))
		for i := 1; i < q.len(); i++ {
			require.Equal(t, q.at(i-1).end, q.at(i).start)
		}
		for q.len() > 0 {
			q.pop()
		}
	}
}
