package neighbour

import (
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAdminStates(t *testing.T) {
	t.Run("NUD-40 STALE with the same address is applied", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			require.NoError(t, b.reply(macA, Create))
			require.NoError(t, b.setAddr(Stale, macA, 0))
			require.Equal(t, "new REACHABLE a; new STALE a", b.announced())
		})
	})
	t.Run("NUD-41 PROBE asks at once, three times", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			require.NoError(t, b.setAddr(Probe, macA, 0))
			b.pass(0)
			b.want("ask 192.0.2.9 unicast to a")
			b.pass(4 * time.Second)
			b.want("ask 192.0.2.9 unicast to a; ask 192.0.2.9 unicast to a")
			b.wantAt(2*time.Second, Failed)
		})
	})
	t.Run("NUD-41 DELAY becomes PROBE at once", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			require.NoError(t, b.setAddr(Delay, macA, 0))
			b.pass(0)
			b.wantState(Probe)
			b.want("ask 192.0.2.9 unicast to a")
		})
	})
	t.Run("NUD-42 INCOMPLETE hangs until a frame comes", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			require.NoError(t, b.set(Incomplete, 0))
			b.send(1, 2)
			b.pass(time.Hour)
			b.wantState(Incomplete)
			require.Empty(t, b.announced())
			b.want("")
			require.NoError(t, b.reply(macA, 0))
			b.want("frame 1 to a; frame 2 to a")
		})
	})
	t.Run("NUD-42 DEV-3 INCOMPLETE resolves where the switch says so", func(t *testing.T) {
		inBubble(t, Config{Switches: Switches{ResolveIncomplete: true}}, func(b *bed) {
			require.NoError(t, b.set(Incomplete, 0))
			b.want("ask 192.0.2.9 broadcast")
			b.wantAt(6*time.Second, Failed)
		})
	})
	t.Run("NUD-43 NUD-45 NUD-46 the address is needed, and kept", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			require.NoError(t, b.setAddr(Permanent, macA, 0))
			require.NoError(t, b.set(Stale, 0))
			require.Equal(t, macA, b.info().LLAddr)
			require.NoError(t, b.set(Failed, 0))
			err := b.set(Stale, 0)
			require.ErrorIs(t, err, ErrNoLLAddr)
			require.ErrorIs(t, err, syscall.EINVAL)
			require.NoError(t, b.set(None, 0))
			require.Equal(t, "new PERMANENT a; new STALE a; new FAILED", b.announced())
		})
	})
	t.Run("NUD-44 FAILED on INCOMPLETE reports the packets", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			b.send(1, 2)
			require.NoError(t, b.set(Failed, 0))
			b.want("ask 192.0.2.9 broadcast head 1; unreachable 1; unreachable 2")
			require.Equal(t, "new FAILED", b.announced())
			require.EqualValues(t, 1, b.table.Stats().ResFailed)
			b.pass(time.Minute)
			b.want("")
		})
	})
	t.Run("NUD-37 frames do not change PERMANENT", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			require.NoError(t, b.setAddr(Permanent, macA, 0))
			require.ErrorIs(t, b.hint(macB, Override|Create), syscall.EPERM)
			require.Equal(t, macA, b.info().LLAddr)
		})
	})
	t.Run("UPD-8 without Replace another address is refused silently", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			require.NoError(t, b.setAddr(Permanent, macA, 0))
			r := Request{LLAddr: macB, HasLLAddr: true, State: Permanent, Create: true}
			require.NoError(t, b.table.Set(1, peerIP, r))
			require.Equal(t, macA, b.info().LLAddr)
		})
	})
}

func TestAdminErrors(t *testing.T) {
	addr := Request{LLAddr: macA, HasLLAddr: true, State: Permanent}
	add, change := addr, addr
	add.Create, add.Exclusive = true, true
	change.Replace = true
	inBubble(t, Config{}, func(b *bed) {
		require.ErrorIs(t, b.table.Set(1, peerIP, change), syscall.ENOENT)
		require.NoError(t, b.table.Set(1, peerIP, add))
		require.ErrorIs(t, b.table.Set(1, peerIP, add), syscall.EEXIST)
		require.NoError(t, b.table.Set(1, peerIP, change))
		require.ErrorIs(t, b.table.Set(7, peerIP, add), syscall.ENODEV)
		require.ErrorIs(t, b.table.Set(1, netip.MustParseAddr("::1"), add), syscall.EINVAL)
		require.NoError(t, b.table.Delete(1, peerIP))
		require.ErrorIs(t, b.table.Delete(1, peerIP), syscall.ENOENT) // NUD-51

		bad := add
		bad.Flags = Managed
		require.ErrorIs(t, b.table.Set(1, peerIP, bad), syscall.EINVAL, "NUD-50, ENT-12")
		bad.State, bad.Flags = None, ExtValidated
		require.ErrorIs(t, b.table.Set(1, peerIP, bad), syscall.EINVAL, "NUD-49")
		bad.State, bad.Flags = Stale, ExtValidated|Use
		require.ErrorIs(t, b.table.Set(1, peerIP, bad), syscall.EINVAL, "NUD-49")
		require.Zero(t, b.table.Stats().Entries)
		require.NoError(t, b.table.Set(1, peerIP, add))
		require.ErrorIs(t, b.set(Failed, ExtValidated), syscall.EINVAL, "NUD-49 on an existing entry")
	})
}

func TestAdminUse(t *testing.T) {
	t.Run("NUD-47 a permanent entry is resolved anew", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			require.NoError(t, b.setAddr(Permanent, macA, 0))
			b.announced()
			require.NoError(t, b.setAddr(Permanent, macB, Use))
			b.wantState(Incomplete)
			b.want("ask 192.0.2.9 broadcast")
			require.Empty(t, b.announced())
		})
	})
	t.Run("NUD-47 a stale one is probed later", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			require.NoError(t, b.hint(macA, Create))
			require.NoError(t, b.set(None, Use))
			b.wantState(Delay)
			b.wantAt(3*time.Second, Probe)
		})
	})
}

func TestAdminFlags(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) { // NUD-48, UPD-3
		require.NoError(t, b.setAddr(Stale, macA, ExtLearned|ISRouter))
		require.Equal(t, ExtLearned|ISRouter, b.info().Flags)
		require.EqualValues(t, 0, b.table.Stats().GCEntries, "GC-11")
		b.announced()
		require.NoError(t, b.setAddr(Stale, macA, ExtValidated))
		require.Equal(t, ExtValidated, b.info().Flags, "replaced, not merged")
		require.Equal(t, "new STALE a", b.announced())
		require.NoError(t, b.setAddr(Stale, macA, ExtValidated))
		require.Empty(t, b.announced())
		require.NoError(t, b.setAddr(Stale, macA, 0))
		require.EqualValues(t, 1, b.table.Stats().GCEntries, "GC-12")
		r := Request{State: Stale, Flags: ISRouter, Create: true}
		require.NoError(t, b.table.Set(1, peerIP, r))
		require.Zero(t, b.info().Flags, "ROUTER needs Replace on an existing entry")
		r.Replace, r.Protocol = true, 4
		require.NoError(t, b.table.Set(1, peerIP, r))
		require.Equal(t, ISRouter, b.info().Flags)
		require.EqualValues(t, 4, b.info().Protocol)
		var last Event
		for len(b.sub.C) > 0 {
			last = <-b.sub.C
		}
		require.EqualValues(t, 4, last.Entry.Protocol, "announced with who installed it")
	})
}

func TestDelete(t *testing.T) {
	t.Run("NTF-2 REACHABLE", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			require.NoError(t, b.reply(macA, Create))
			b.announced()
			require.NoError(t, b.table.Delete(1, peerIP))
			require.Equal(t, "new FAILED; del FAILED", b.announced())
			st := b.table.Stats()
			require.EqualValues(t, []uint64{0, 0, 1, 1}, []uint64{st.Entries, st.GCEntries, st.Allocs, st.Destroys})
		})
	})
	t.Run("NUD-44 NUD-51 INCOMPLETE with packets", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			b.send(1, 1)
			require.NoError(t, b.table.Delete(1, peerIP))
			b.want("ask 192.0.2.9 broadcast head 1; unreachable 1")
			require.Equal(t, "new FAILED; del FAILED", b.announced())
		})
	})
	t.Run("NUD-51 STALE to nothing", func(t *testing.T) {
		inBubble(t, Config{}, func(b *bed) {
			require.NoError(t, b.set(None, 0))
			require.NoError(t, b.table.Delete(1, peerIP))
			require.Equal(t, "del FAILED", b.announced())
		})
	})
}

func TestFlush(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) { // NUD-60
		for n, s := range []State{Permanent, NoARP, Stale, Reachable, Failed} {
			require.NoError(t, b.table.Set(1, nth(n), Request{LLAddr: macA, HasLLAddr: true, State: s, Create: true}))
		}
		require.Equal(t, 1, b.table.Flush(Filter{Prefix: netip.PrefixFrom(nth(2), 32)}))
		require.Equal(t, 2, b.table.Flush(Filter{Interface: 1}))
		require.Equal(t, 0, b.table.Flush(Filter{Interface: 2, States: SetOf(Permanent)}))
		require.Equal(t, 1, b.table.Flush(Filter{States: SetOf(Permanent)}))
		require.EqualValues(t, 1, b.table.Stats().Entries)
	})
}
