package control

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack"
	"github.com/tapstack/tapstack/stack/stacktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

// network is alice, who is controlled, and bob, on a LAN.
type network struct {
	t          *testing.T
	lan        *stacktest.LAN
	alice, bob *stack.Host
	srv        *Server
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	n := &network{t: t, lan: stacktest.NewLAN(t)}
	n.alice = n.lan.Host(stacktest.HostConfig{Name: "alice", Addr: "10.0.0.1/24", MAC: link.Addr{2, 0, 0, 0, 0, 1}})
	n.bob = n.lan.Host(stacktest.HostConfig{Name: "bob", Addr: "10.0.0.2/24", MAC: link.Addr{2, 0, 0, 0, 0, 2}})
	n.srv = New(n.alice, Config{Version: "v1", Path: "/run/x.sock", Services: []string{"echo"}})
	return n
}

// do makes a request without a connection.
func (n *network) do(method, path string, in any) *httptest.ResponseRecorder {
	n.t.Helper()
	var body bytes.Buffer
	if in != nil {
		require.NoError(n.t, json.NewEncoder(&body).Encode(in))
	}
	rec := httptest.NewRecorder()
	n.srv.ServeHTTP(rec, httptest.NewRequest(method, "/v1/"+path, &body))
	return rec
}

// get reads an object into out.
func (n *network) get(path string, out any) {
	n.t.Helper()
	rec := n.do(http.MethodGet, path, nil)
	require.Equal(n.t, http.StatusOK, rec.Code, rec.Body)
	require.NoError(n.t, json.Unmarshal(rec.Body.Bytes(), out))
}

// post carries out a command that must work.
func (n *network) post(path string, in any) {
	n.t.Helper()
	rec := n.do(http.MethodPost, path, in)
	require.Equal(n.t, http.StatusOK, rec.Code, rec.Body)
}

// refused carries out a request that must fail, with these words.
func (n *network) refused(method, path string, in any, code int, text string) {
	n.t.Helper()
	rec := n.do(method, path, in)
	require.Equal(n.t, code, rec.Code, rec.Body)
	var e Error
	require.NoError(n.t, json.Unmarshal(rec.Body.Bytes(), &e))
	require.Contains(n.t, e.Text, text)
}
