package service

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// local is a Network on the machine's own loopback, with ports of its choice.
type local struct {
	mu   sync.Mutex
	tcp  map[string]string
	udp  map[string]string
	deny string
}

func (l *local) Listen(network, address string) (net.Listener, error) {
	if address == l.deny {
		return nil, errors.New("address already in use")
	}
	ln, err := net.Listen(network, "127.0.0.1:0")
	if err == nil {
		l.mu.Lock()
		l.tcp[address] = ln.Addr().String()
		l.mu.Unlock()
	}
	return ln, err
}

func (l *local) ListenPacket(network, address string) (net.PacketConn, error) {
	c, err := net.ListenPacket(network, "127.0.0.1:0")
	if err == nil {
		l.mu.Lock()
		l.udp[address] = c.LocalAddr().String()
		l.mu.Unlock()
	}
	return c, err
}

func start(t *testing.T, names ...string) *local {
	t.Helper()
	l := &local{tcp: map[string]string{}, udp: map[string]string{}}
	g, err := Start(Config{Network: l, Names: names, Page: func() Page { return Page{Name: "a <host>"} }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, g.Close()) })
	return l
}

func dial(t *testing.T, network, address string) net.Conn {
	t.Helper()
	c, err := net.Dial(network, address)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(10*time.Second)))
	return c
}

func TestEcho(t *testing.T) {
	l := start(t, "echo")
	c := dial(t, "tcp", l.tcp[":7"])
	_, err := io.WriteString(c, "hello")
	require.NoError(t, err)
	require.NoError(t, c.(*net.TCPConn).CloseWrite())
	b, err := io.ReadAll(c)
	require.NoError(t, err)
	require.Equal(t, "hello", string(b))

	u := dial(t, "udp", l.udp[":7"])
	for _, s := range []string{"one", "", "three"} {
		_, err := io.WriteString(u, s)
		require.NoError(t, err)
		buf := make([]byte, 100)
		n, err := u.Read(buf)
		require.NoError(t, err)
		require.Equal(t, s, string(buf[:n]))
	}
}

func TestDiscard(t *testing.T) {
	l := start(t, "discard")
	c := dial(t, "tcp", l.tcp[":9"])
	_, err := io.WriteString(c, strings.Repeat("x", 1<<20))
	require.NoError(t, err)
	require.NoError(t, c.(*net.TCPConn).CloseWrite())
	b, err := io.ReadAll(c)
	require.NoError(t, err)
	require.Empty(t, b)
	u := dial(t, "udp", l.udp[":9"])
	_, err = io.WriteString(u, "x")
	require.NoError(t, err)
}

func TestChargen(t *testing.T) {
	l := start(t, "chargen")
	r := bufio.NewReader(dial(t, "tcp", l.tcp[":19"]))
	first, err := r.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefg\r\n", first)
	second, err := r.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefgh\r\n", second)
	for range 93 {
		_, err = r.ReadString('\n')
		require.NoError(t, err)
	}
	again, err := r.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, first, again)
}

func TestHTTP(t *testing.T) {
	l := start(t, "http")
	base := "http://" + l.tcp[":80"]
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	client := http.Client{Transport: tr, Timeout: 10 * time.Second}
	get := func(path string, header ...string) (*http.Response, string) {
		req, err := http.NewRequest(http.MethodGet, base+path, nil)
		require.NoError(t, err)
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := client.Do(req)
		require.NoError(t, err)
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		resp.Body.Close()
		return resp, string(b)
	}
	resp, body := get("/")
	require.Equal(t, 200, resp.StatusCode)
	require.Contains(t, body, "<h1>a &lt;host&gt;</h1>")
	_, body = get("/healthz")
	require.Equal(t, "ok\n", body)
	resp, body = get("/blob/100000")
	require.Equal(t, 200, resp.StatusCode)
	require.EqualValues(t, 100000, resp.ContentLength)
	want, _ := io.ReadAll(&blob{n: 100000})
	require.Equal(t, string(want), body)
	resp, part := get("/blob/100000", "Range", "bytes=10-19")
	require.Equal(t, 206, resp.StatusCode)
	require.Equal(t, body[10:20], part)
	resp, body = get("/blob/0")
	require.Equal(t, 200, resp.StatusCode)
	require.Empty(t, body)
	for _, path := range []string{"/blob/-1", "/blob/x", "/blob/1099511627777", "/blob/99999999999999999999"} {
		resp, _ = get(path)
		require.Equal(t, 400, resp.StatusCode, path)
	}
	resp, _ = get("/nothing")
	require.Equal(t, 404, resp.StatusCode)

	// 1 TiB is announced; a client that has enough leaves.
	resp, err := client.Get(base + "/blob/1099511627776")
	require.NoError(t, err)
	require.EqualValues(t, int64(MaxBlob), resp.ContentLength)
	_, err = io.CopyN(io.Discard, resp.Body, 1<<20)
	require.NoError(t, err)
	resp.Body.Close()
}

func TestPageNamesLinksAndNeighbours(t *testing.T) {
	b := string(Page{
		Name:       "h",
		Links:      []PageLink{{Name: "t0", Addr: "02:00:00:00:00:02", IPs: []string{"10.0.0.2/24", "10.9.0.1/16"}}},
		Neighbours: []PageNeighbour{{IP: "10.0.0.1", Dev: "t0", LLAddr: "02:00:00:00:00:01", State: "REACHABLE"}},
	}.html())
	require.Contains(t, b, "<td>t0</td><td>02:00:00:00:00:02</td><td>10.0.0.2/24, 10.9.0.1/16</td>")
	require.Contains(t, b, "<td>10.0.0.1</td><td>t0</td><td>02:00:00:00:00:01</td><td><span class=\"s REACHABLE\">REACHABLE</span></td>")
}

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		in   []string
		want []string
		err  string
	}{
		{[]string{"http,echo"}, []string{"http", "echo"}, ""},
		{[]string{"echo", "discard"}, []string{"echo", "discard"}, ""},
		{[]string{"echo", "echo,chargen"}, []string{"echo", "chargen"}, ""},
		{[]string{"none"}, nil, ""},
		{[]string{"none", "echo"}, nil, "stands alone"},
		{[]string{"ftp"}, nil, "no service \"ftp\""},
		{[]string{""}, nil, "no service"},
	} {
		got, err := Parse(tc.in)
		if tc.err != "" {
			require.ErrorContains(t, err, tc.err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, tc.want, got)
	}
}

// A service that cannot listen leaves none running.
func TestStartFailsWhole(t *testing.T) {
	l := &local{tcp: map[string]string{}, udp: map[string]string{}, deny: ":9"}
	_, err := Start(Config{Network: l, Names: []string{"echo", "discard"}})
	require.ErrorContains(t, err, "service discard: address already in use")
	_, err = net.DialTimeout("tcp", l.tcp[":7"], time.Second)
	require.Error(t, err)
}
