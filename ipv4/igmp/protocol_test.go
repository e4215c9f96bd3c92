package igmp

import (
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
	"github.com/tapstack/tapstack/stack/random"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testHost is IGMP over a real ipv4.Protocol: lo is interface 1, t0 is 2 with
// 10.0.0.2/24 and t1 is 3 without an address.
type testHost struct {
	*Protocol
	t      *testing.T
	ip     *ipv4.Protocol
	drops  link.Drops
	lo, t0 *ipv4.Interface
	frames chan frame
}

type frame struct {
	iface int
	to    netip.Addr
	h     ipv4.Header
	b     []byte
}

type nextHop func(netip.Addr, *link.Packet) error

func (f nextHop) Output(nh netip.Addr, p *link.Packet) error { return f(nh, p) }

func newTestHost(t *testing.T) *testHost {
	linktest.WantNoPackets(t)
	h := &testHost{t: t, frames: make(chan frame, 100)}
	h.ip = ipv4.New(ipv4.Config{Drops: &h.drops, Rand: random.New(1)})
	h.Protocol = New(h.ip, Config{Drops: &h.drops, Rand: random.New(2)})
	add := func(c ipv4.InterfaceConfig, addr string) *ipv4.Interface {
		i, err := h.ip.AddInterface(c)
		require.NoError(t, err)
		if addr != "" {
			require.NoError(t, h.ip.AddAddress(c.Index, ipv4.Address{Prefix: netip.MustParsePrefix(addr)}))
		}
		h.ip.SetUp(c.Index, true)
		return i
	}
	h.lo = add(ipv4.InterfaceConfig{Index: 1, Name: "lo", MTU: 65536, Loopback: true, Neighbours: nextHop(func(_ netip.Addr, p *link.Packet) error {
		h.ip.Input(h.lo, p)
		return nil
	})}, "127.0.0.1/8")
	out := func(index int) nextHop {
		return func(nh netip.Addr, p *link.Packet) error {
			defer p.Release()
			b := append([]byte(nil), p.Bytes()...)
			ih, err := ipv4.Parse(b)
			require.NoError(t, err)
			require.EqualValues(t, 0xffff, ipv4.Sum(b[ih.Len():], 0), "checksum")
			h.frames <- frame{index, nh, ih, b[ih.Len():]}
			return nil
		}
	}
	h.t0 = add(ipv4.InterfaceConfig{Index: 2, Name: "t0", MTU: 1500, Neighbours: out(2)}, "10.0.0.2/24")
	add(ipv4.InterfaceConfig{Index: 3, Name: "t1", MTU: 68, Neighbours: out(3)}, "")
	t.Cleanup(func() {
		h.Close()
		h.ip.Close()
	})
	return h
}

// receive takes a message to a group from t0's link.
func (h *testHost) receive(dst string, b []byte) {
	p := link.NewPacketFrom(b)
	ipv4.Header{TotalLen: ipv4.HeaderLen + len(b), TTL: 1, Protocol: ipv4.ProtocolIGMP, Src: addr("10.0.0.1"), Dst: addr(dst)}.Put(p.Push(ipv4.HeaderLen))
	p.Type = link.Multicast
	if !addr(dst).IsMulticast() {
		p.Type = link.Host
	}
	h.ip.Input(h.t0, p)
}

func (h *testHost) quiet() {
	h.t.Helper()
	time.Sleep(time.Minute)
	synctest.Wait()
	require.Empty(h.t, h.frames)
}

func TestReportsOnTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHost(t)
		begin := time.Now()
		group := addr("239.1.1.1")
		require.NoError(t, h.ip.JoinGroup(2, group))
		require.NoError(t, h.ip.JoinGroup(2, group))
		f := <-h.frames
		require.Equal(t, soon, time.Since(begin))
		require.Equal(t, addr("224.0.0.22"), f.to)
		require.Equal(t, ipv4.Header{TOS: 0xc0, TotalLen: 40, DF: true, TTL: 1, Protocol: 2, Checksum: f.h.Checksum,
			Src: addr("10.0.0.2"), Dst: addr("224.0.0.22"), Options: []byte{148, 4, 0, 0}}, f.h)
		records, err := ParseReport(f.b)
		require.NoError(t, err)
		require.Equal(t, []Record{{ChangeToExclude, group, nil}}, records)
		<-h.frames
		require.Less(t, time.Since(begin), soon+time.Second)
		h.quiet()

		h.receive("224.0.0.1", old(TypeQuery, 10, "0.0.0.0"))
		begin = time.Now()
		f = <-h.frames
		require.Less(t, time.Since(begin), time.Second)
		require.Equal(t, group, f.to)
		require.Equal(t, old(TypeReportV2, 0, "239.1.1.1"), f.b)
		require.EqualValues(t, 1, f.h.TTL)
		require.NoError(t, h.ip.LeaveGroup(2, group))
		require.NoError(t, h.ip.LeaveGroup(2, group))
		f = <-h.frames
		require.Equal(t, addr("224.0.0.2"), f.to)
		require.Equal(t, old(TypeLeave, 0, "239.1.1.1"), f.b)
		h.quiet()
		s := h.Stats()
		require.EqualValues(t, 4, s.OutMsgs.Load())
		require.EqualValues(t, 3, s.OutReports.Load())
		require.EqualValues(t, 1, s.OutLeaves.Load())
		require.EqualValues(t, 1, s.InQueries.Load())
	})
}

func TestLoopbackIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHost(t)
		require.NoError(t, h.ip.JoinGroup(1, addr("239.1.1.1")))
		h.quiet()
	})
}

// An interface without an address reports from 0.0.0.0, and never more than fits.
func TestReportsWithoutAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHost(t)
		f := ipv4.SourceFilter{Only: true}
		for n := range 9 {
			f.Sources = append(f.Sources, netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}))
		}
		require.NoError(t, h.ip.ChangeGroup(3, addr("239.1.1.1"), nil, &f))
		var got []netip.Addr
		for range 2 {
			f := <-h.frames
			require.Equal(t, "0.0.0.0", f.h.Src.String())
			require.LessOrEqual(t, f.h.TotalLen, 68)
			records, err := ParseReport(f.b)
			require.NoError(t, err)
			require.Len(t, records, 1)
			got = append(got, records[0].Sources...)
		}
		require.Equal(t, f.Sources, got)
		<-h.frames
		<-h.frames
		h.quiet()
	})
}

func TestInterfaceComesAndGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHost(t)
		require.NoError(t, h.ip.JoinGroup(2, addr("239.1.1.1")))
		h.ip.SetUp(2, false)
		h.quiet()
		h.ip.SetUp(2, true)
		for range 2 {
			records, err := ParseReport((<-h.frames).b)
			require.NoError(t, err)
			require.Equal(t, []Record{{ChangeToExclude, addr("239.1.1.1"), nil}}, records)
		}
		h.receive("224.0.0.1", queryV3(10, "0.0.0.0", 2, 125))
		h.ip.RemoveInterface(2)
		h.quiet()
		require.Len(t, h.links, 1)
		i, err := h.ip.AddInterface(ipv4.InterfaceConfig{Index: 3 + 1, Name: "t2", MTU: 1500, Neighbours: nextHop(func(_ netip.Addr, p *link.Packet) error { p.Release(); return nil })})
		require.NoError(t, err)
		h.ip.SetUp(i.Index(), true)
		require.Len(t, h.links, 2)
	})
}

func TestCloseSaysWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHost(t)
		require.NoError(t, h.ip.JoinGroup(2, addr("239.1.1.1")))
		<-h.frames
		<-h.frames
		h.quiet()
		h.receive("224.0.0.1", queryV3(100, "0.0.0.0", 2, 125))
		require.NoError(t, h.ip.LeaveGroup(2, addr("239.1.1.1")))
		h.Close()
		records, err := ParseReport((<-h.frames).b)
		require.NoError(t, err)
		require.Equal(t, []Record{{ChangeToInclude, addr("239.1.1.1"), nil}}, records)
		require.NoError(t, h.ip.JoinGroup(2, addr("239.1.1.1")))
		h.receive("224.0.0.1", queryV3(100, "0.0.0.0", 2, 125))
		h.quiet()
	})
}

func TestInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHost(t)
		require.NoError(t, h.SetSysctl("igmp_qrv", 1))
		require.NoError(t, h.ip.SetConf("t0", "force_igmp_version", 2))
		require.NoError(t, h.ip.JoinGroup(2, addr("239.1.1.1")))
		<-h.frames
		for _, c := range []struct {
			name   string
			dst    string
			b      []byte
			reason link.DropReason
			answer bool
		}{
			{"short", "224.0.0.1", make([]byte, 7), link.IGMPInHdr, false},
			{"checksum", "224.0.0.1", append(make([]byte, 7), 1), link.IGMPCsum, false},
			{"query of 10 bytes", "224.0.0.1", append(old(TypeQuery, 1, "0.0.0.0"), 0, 0), link.IGMPInHdr, false},
			{"query", "224.0.0.1", old(TypeQuery, 1, "0.0.0.0"), 0, true},
			{"query to us alone", "10.0.0.2", old(TypeQuery, 1, "0.0.0.0"), 0, true},
			{"what another says", "224.0.0.1", old(0x13, 1, "0.0.0.0"), 0, false},
			{"a report of version 3", "239.1.1.1", old(TypeReportV3, 0, "0.0.0.0"), 0, false},
		} {
			before := h.drops.Count(c.reason)
			h.receive(c.dst, c.b)
			if c.reason != 0 {
				require.Equal(t, before+1, h.drops.Count(c.reason), c.name)
			}
			if c.answer {
				require.Equal(t, old(TypeReportV2, 0, "239.1.1.1"), (<-h.frames).b)
			}
			h.quiet()
		}
		h.receive("224.0.0.1", old(TypeQuery, 100, "0.0.0.0"))
		h.receive("10.0.0.2", old(TypeReportV2, 0, "239.1.1.1"))
		require.Equal(t, addr("239.1.1.1"), (<-h.frames).to, "others do not hear what is sent to us")
		h.receive("224.0.0.1", old(TypeQuery, 100, "0.0.0.0"))
		h.receive("239.1.1.1", old(TypeReportV2, 0, "239.1.1.1"))
		h.quiet()
		require.EqualValues(t, 3, h.Stats().InErrors.Load())
		require.EqualValues(t, 1, h.Stats().InCsumErrors.Load())
		n := 0
		for name := range h.Stats().All() {
			require.Contains(t, name, "Igmp")
			n++
		}
		require.Equal(t, 9, n)
	})
}

func TestSysctls(t *testing.T) {
	h := newTestHost(t)
	for _, n := range SysctlNames() {
		v, err := h.Sysctl(n)
		require.NoError(t, err)
		require.NoError(t, h.SetSysctl(n, v+1))
		require.ErrorIs(t, h.SetSysctl(n, -1), syscall.EINVAL)
	}
	_, err := h.Sysctl("igmp_x")
	require.ErrorIs(t, err, syscall.ENOENT)
	require.ErrorIs(t, h.SetSysctl("igmp_x", 1), syscall.ENOENT)
}
