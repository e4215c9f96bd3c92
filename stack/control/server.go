package control

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack"
)

// Config says what a Server tells about itself.
type Config struct {
	Version  string   // of the program
	Path     string   // of the control socket
	Services []string // that the host runs, for status
	Logger   *slog.Logger
	// OpenLink opens the device of an interface that a client adds. Default:
	// none can be added.
	OpenLink func(LinkRequest) (link.Device, error)
	// StartDHCP has an interface ask DHCP servers for an address. Default: none
	// can.
	StartDHCP func(dev string) error
	// StopDHCP gives an interface's address back before the interface goes.
	// Default: nothing is given back.
	StopDHCP func(dev string)
}

// Server answers requests about one host.
type Server struct {
	host *stack.Host
	cfg  Config
	mux  *http.ServeMux
	done chan struct{} // closed when streams must end

	claims     claims
	linkEvents feed[LinkEvent] // of what only commands change
	drops      feed[dropped]
	profiling  profiling
}

// endpoint answers one request with something to be sent as JSON.
type endpoint func(r *http.Request) (any, error)

// New returns a server for a host. It does not close the host, but has its Drops'
// watcher to itself.
func New(h *stack.Host, c Config) *Server {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{host: h, cfg: c, mux: http.NewServeMux(), done: make(chan struct{})}
	s.drops.attach = s.watchDrops
	for pattern, f := range map[string]endpoint{
		"GET /v1/status":         s.status,
		"GET /v1/neigh":          s.neighShow,
		"GET /v1/neigh/get":      s.neighGet,
		"POST /v1/neigh/add":     s.neighSet(true, true, false),
		"POST /v1/neigh/change":  s.neighSet(false, false, true),
		"POST /v1/neigh/replace": s.neighSet(true, false, true),
		"POST /v1/neigh/del":     s.neighDelete,
		"POST /v1/neigh/flush":   s.neighFlush,
		"GET /v1/link":           s.linkShow,
		"POST /v1/link/set":      s.changing(s.linkSet),
		"POST /v1/link/add":      s.linkAdd,
		"POST /v1/link/del":      s.changing(s.linkDelete),
		"GET /v1/addr":           s.linkShow,
		"POST /v1/addr/add":      s.changing(s.addrAdd),
		"POST /v1/addr/replace":  s.changing(s.addrReplace),
		"POST /v1/addr/del":      s.changing(s.addrDelete),
		"GET /v1/route":          s.routeShow,
		"POST /v1/route/get":     s.routeGet,
		"POST /v1/route/add":     s.routeSet(ipv4.CreateRoute | ipv4.ExclusiveRoute),
		"POST /v1/route/replace": s.routeSet(ipv4.CreateRoute | ipv4.ReplacesRoute),
		"POST /v1/route/change":  s.routeSet(ipv4.ReplacesRoute),
		"POST /v1/route/append":  s.routeSet(ipv4.CreateRoute | ipv4.AppendRoute),
		"POST /v1/route/prepend": s.routeSet(ipv4.CreateRoute),
		"POST /v1/route/test":    s.routeSet(ipv4.ExclusiveRoute),
		"POST /v1/route/forget":  s.routeForget,
		"POST /v1/route/del":     s.routeDelete,
		"GET /v1/sysctl":         s.sysctlShow,
		"POST /v1/sysctl/set":    s.sysctlSet,
		"GET /v1/ntable":         s.ntableShow,
		"GET /v1/counters":       s.counters,
		"GET /v1/ss":             s.sockets,
		"POST /v1/blast":         s.blast,
	} {
		s.mux.Handle(pattern, f)
	}
	s.mux.HandleFunc("GET /v1/neigh/monitor", s.neighMonitor)
	s.mux.HandleFunc("GET /v1/addr/monitor", s.addrMonitor)
	s.mux.HandleFunc("GET /v1/monitor", s.monitor)
	s.mux.HandleFunc("GET /v1/trace", s.trace)
	s.mux.HandleFunc("POST /v1/ping", s.ping)
	s.mux.HandleFunc("POST /v1/traceroute", s.traceroute)
	s.mux.HandleFunc("POST /v1/arping", s.arping)
	s.mux.HandleFunc("POST /v1/nc", s.nc)
	s.mux.HandleFunc("POST /v1/sock", s.sock)
	s.mux.HandleFunc("POST /v1/pprof", s.pprof)
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Serve answers the clients of l until Close. It returns http.ErrServerClosed.
func (s *Server) Serve(l net.Listener) error {
	srv := &http.Server{Handler: s, ErrorLog: slog.NewLogLogger(s.cfg.Logger.Handler(), slog.LevelDebug)}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-s.done
		srv.Close()
	}()
	err := srv.Serve(l)
	select {
	case <-s.done:
		<-stopped
	default: // the listener failed: nobody will close done for us
	}
	return err
}

// Close ends Serve and every stream. It may be called once.
func (s *Server) Close() { close(s.done) }

// untilClosed returns a context that also ends with the server.
func (s *Server) untilClosed(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	go func() {
		select {
		case <-s.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// Status is what a host says about itself.
type Status struct {
	Name     string        `json:"name"`
	Version  string        `json:"version"`
	PID      int           `json:"pid"`
	Control  string        `json:"control"`
	Uptime   time.Duration `json:"uptime"` // nanoseconds
	Services []string      `json:"services"`
	Links    []Link        `json:"links"`
}

func (s *Server) status(r *http.Request) (any, error) {
	links, err := s.links("")
	return Status{
		Name: s.host.Name(), Version: s.cfg.Version, PID: os.Getpid(), Control: s.cfg.Path,
		Uptime: s.host.Uptime(), Services: append([]string{}, s.cfg.Services...), Links: links,
	}, err
}

// ServeHTTP implements http.Handler.
func (f endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v, err := f(r)
	if err != nil {
		writeError(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

// decode reads the JSON body of a command.
func decode(r *http.Request, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return invalid("control: bad request: %v", err)
	}
	return nil
}

// lines sends one JSON object a line, each at once.
type lines struct {
	w   *json.Encoder
	out http.Flusher
}

func newLines(w http.ResponseWriter) lines {
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	out, _ := w.(http.Flusher)
	l := lines{json.NewEncoder(w), out}
	l.flush()
	return l
}

func (l lines) send(v any) error {
	err := l.w.Encode(v)
	l.flush()
	return err
}

func (l lines) flush() {
	if l.out != nil {
		l.out.Flush()
	}
}
