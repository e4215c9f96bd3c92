package main

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// jsonWriter writes JSON the way iproute2 does: fields in a given order, null for
// a flag that is set, and with pretty its own manner of indenting.
type jsonWriter struct {
	b      bytes.Buffer
	pretty bool
	depth  int
	comma  bool // something precedes in this array or object
}

// separate puts a comma behind the value before.
func (j *jsonWriter) separate() {
	if j.comma {
		j.b.WriteByte(',')
	}
	j.comma = true
}

func (j *jsonWriter) newline() {
	if j.pretty {
		j.b.WriteByte('\n')
		for range j.depth {
			j.b.WriteString("    ")
		}
	}
}

func (j *jsonWriter) open(c byte) {
	j.separate()
	j.b.WriteByte(c)
	j.depth++
	j.comma = false
}

func (j *jsonWriter) close(c byte) {
	j.depth--
	if j.comma {
		j.newline()
	}
	j.b.WriteByte(c)
	j.comma = true
}

func (j *jsonWriter) openObject()  { j.open('{') }
func (j *jsonWriter) closeObject() { j.close('}') }

func (j *jsonWriter) openArray() {
	j.open('[')
	if j.pretty {
		j.b.WriteByte(' ')
	}
}

// closeArray ends an array; unlike an object it stays on its line.
func (j *jsonWriter) closeArray() {
	if j.pretty && j.comma {
		j.b.WriteByte(' ')
	}
	j.comma = false
	j.close(']')
}

func (j *jsonWriter) name(s string) {
	j.separate()
	j.newline()
	j.comma = false
	j.b.WriteString(strconv.Quote(s))
	j.b.WriteByte(':')
	if j.pretty {
		j.b.WriteByte(' ')
	}
}

func (j *jsonWriter) str(s string) {
	j.separate()
	q, _ := json.Marshal(s)
	j.b.Write(q)
}

func (j *jsonWriter) text(name, s string)         { j.name(name); j.str(s) }
func (j *jsonWriter) number(name string, n int64) { j.raw(name, strconv.FormatInt(n, 10)) }
func (j *jsonWriter) unsigned(name string, n uint64) {
	j.raw(name, strconv.FormatUint(n, 10))
}
func (j *jsonWriter) null(name string) { j.raw(name, "null") }
func (j *jsonWriter) yes(name string)  { j.raw(name, "true") }

func (j *jsonWriter) raw(name, v string) {
	j.name(name)
	j.separate()
	j.b.WriteString(v)
}

// array writes a named array of strings.
func (j *jsonWriter) array(name string, list []string) {
	j.name(name)
	j.openArray()
	for _, s := range list {
		j.str(s)
	}
	j.closeArray()
}

// finish returns what was written, as a line.
func (j *jsonWriter) finish() []byte {
	j.b.WriteByte('\n')
	return j.b.Bytes()
}
