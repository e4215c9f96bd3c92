package sock

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseRequest(t *testing.T) {
	for line, id := range map[string]string{
		`{"id":7,"op":"socket","type":"stream"}`:                       "7",
		`{"id":"x","op":"recv","fd":3,"len":1,"flags":["MSG_PEEK"]}`:   `"x"`,
		`{"op":"connect","fd":3,"addr":"10.0.0.1","port":65535}`:       "null",
		`{"op":"connect","fd":3,"addr":null}`:                          "null",
		`{"op":"send","fd":3,"iov":[1,2],"data":null,"unknown":[{}]}`:  "null",
		`{"id":1,"op":"poll","fds":[{"fd":3,"events":["POLLIN"]}]}`:    "1",
		`{"id":1,"op":"send","fd":3,"data":"aGVsbG8=","flags":null}`:   "1",
		`{"id":1,"op":"setsockopt","fd":3,"name":"X","value":{"a":1}}`: "1",
	} {
		r := ParseRequest([]byte(line))
		require.False(t, r.invalid, line)
		require.Equal(t, id, string(r.ID))
	}
	for line, id := range map[string]string{
		`nonsense`:                                                              "null",
		`{"id":5,"op":7}`:                                                       "5",
		`{"id":5,"op":"recv","fd":"3"}`:                                         "5",
		`{"id":5,"op":"recv","len":-1}`:                                         "5",
		`{"id":5,"op":"recv","len":1.5}`:                                        "5",
		`{"id":5,"op":"bind","port":65536}`:                                     "5",
		`{"id":5,"op":"bind","port":-1}`:                                        "5",
		`{"id":5,"op":"bind","addr":"host"}`:                                    "5",
		`{"id":5,"op":"bind","addr":"::1"}`:                                     "5",
		`{"id":5,"op":"bind","addr":7}`:                                         "5",
		`{"id":5,"op":"send","data":"?"}`:                                       "5",
		`{"id":5,"op":"send","flags":["MSG_NO"]}`:                               "5",
		`{"id":5,"op":"send","iov":[-1]}`:                                       "5",
		`{"id":5,"op":"recv","want":"everything"}`:                              "5",
		`{"id":{},"op":"hello"}`:                                                "null",
		`{"id":"` + strings.Repeat("x", 99) + `"}`:                              "null",
		`{"id":5,"op":"poll","fds":[` + strings.Repeat(`{},`, maxPoll) + `{}]}`: "5",
	} {
		r := ParseRequest([]byte(line))
		require.True(t, r.invalid, line)
		require.Equal(t, id, string(r.ID), line)
	}
}

func FuzzParseRequest(f *testing.F) {
	for _, s := range []string{`{"id":1,"op":"send","fd":3,"data":"aGVsbG8=","iov":[1,2],"flags":["MSG_MORE"],"addr":"10.0.0.1","port":7}`,
		`{"id":[],"op":"poll","fds":[{"fd":-1,"events":["POLLIN"]}],"timeout_ms":-1}`, `{"id":1`, `null`, `[]`, `{"addr":null,"value":{}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		r := ParseRequest(line)
		if r.size < 0 {
			t.Fatal("negative size")
		}
		if _, err := json.Marshal(&Reply{ID: r.ID}); err != nil {
			t.Fatal(err) // it cannot be answered
		}
	})
}
