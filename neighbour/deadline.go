package neighbour

// deadlines is a 4-ary heap of the timers of a shard's entries, the earliest on
// top. An entry knows its position. The zero value is empty.
type deadlines struct{ heap []deadline }

type deadline struct {
	when  instant
	entry *entry
}

// keptDeadlines is the size up to which an empty heap keeps its memory.
const keptDeadlines = 64

// next returns the earliest deadline, or never.
func (d *deadlines) next() instant {
	if len(d.heap) == 0 {
		return never
	}
	return d.heap[0].when
}

// of returns e's deadline, or never.
func (d *deadlines) of(e *entry) instant {
	if e.timer == noTimer {
		return never
	}
	return d.heap[e.timer].when
}

// set arms, moves or (with never) cancels e's timer.
func (d *deadlines) set(e *entry, when instant) {
	switch {
	case when == never:
		d.cancel(e)
	case e.timer == noTimer:
		e.timer = int32(len(d.heap))
		d.heap = append(d.heap, deadline{when, e})
		d.up(int(e.timer))
	default:
		i := int(e.timer)
		d.heap[i].when = when
		if !d.up(i) {
			d.down(i)
		}
	}
}

func (d *deadlines) cancel(e *entry) {
	if e.timer == noTimer {
		return
	}
	i, last := int(e.timer), len(d.heap)-1
	e.timer = noTimer
	moved := d.heap[last]
	d.heap[last] = deadline{}
	d.heap = d.heap[:last]
	if i < last {
		d.place(i, moved)
		if !d.up(i) {
			d.down(i)
		}
	}
	if last == 0 && cap(d.heap) > keptDeadlines {
		d.heap = nil // gives the memory back
	}
}

func (d *deadlines) place(i int, x deadline) {
	d.heap[i] = x
	x.entry.timer = int32(i)
}

// up moves the element at i towards the top and reports whether it moved.
func (d *deadlines) up(i int) bool {
	x, from := d.heap[i], i
	for i > 0 {
		parent := (i - 1) / 4
		if d.heap[parent].when <= x.when {
			break
		}
		d.place(i, d.heap[parent])
		i = parent
	}
	d.place(i, x)
	return i != from
}

func (d *deadlines) down(i int) {
	x := d.heap[i]
	for {
		first := 4*i + 1
		if first >= len(d.heap) {
			break
		}
		least := first
		for c := first + 1; c < min(first+4, len(d.heap)); c++ {
			if d.heap[c].when < d.heap[least].when {
				least = c
			}
		}
		if d.heap[least].when >= x.when {
			break
		}
		d.place(i, d.heap[least])
		i = least
	}
	d.place(i, x)
}
