package service

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Page is what the front page tells about the host.
type Page struct {
	Name       string
	Links      []PageLink
	Neighbours []PageNeighbour
}

// PageLink is an interface.
type PageLink struct {
	Name, Addr string
	IPs        []string
}

// PageNeighbour is an entry of the neighbour table.
type PageNeighbour struct{ IP, Dev, LLAddr, State string }

func (g *Group) http(c Config) error {
	l, err := c.Network.Listen("tcp", ":80")
	if err != nil {
		return err
	}
	srv := &http.Server{
		Handler:           Handler(c.Page),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
	}
	g.add(srv)
	g.wg.Go(func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			g.log.Error("service ended", "address", l.Addr(), "err", err)
		}
	})
	return nil
}

// Handler is the http service: / is a page about the host, /blob/N is N bytes
// that are the same every time, /healthz says ok.
func Handler(page func() Page) http.Handler {
	mux := http.NewServeMux()
	front := frontPage{page: page}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		b := front.html(time.Now())
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		w.Header().Set("Cache-Control", "no-store")
		w.Write(b)
	})
	mux.HandleFunc("GET /blob/{n}", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.ParseInt(r.PathValue("n"), 10, 64)
		if err != nil || n < 0 || n > MaxBlob {
			http.Error(w, fmt.Sprintf("blob: want a length from 0 to %d", int64(MaxBlob)), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Cache-Control", "no-store")
		http.ServeContent(w, r, "", time.Time{}, &blob{n: n})
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Write([]byte("ok\n"))
	})
	return mux
}

// frontAge is how old a front page may be: many that ask at once get the same.
const frontAge = 100 * time.Millisecond

// frontPage keeps the front page for a moment.
type frontPage struct {
	page func() Page

	mu   sync.Mutex
	at   time.Time
	body []byte
}

// html returns the page; nobody may change it.
func (f *frontPage) html(now time.Time) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.body == nil || now.Sub(f.at) >= frontAge {
		f.body, f.at = f.page().html(), now
	}
	return f.body
}

const style = `:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:3rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin:0 0 .2rem}h2{font-size:1.05rem;margin:2rem 0 .5rem}
p{margin:.3rem 0;opacity:.75}table{border-collapse:collapse;width:100%}
th{text-align:left;font-weight:600;font-size:.8rem;opacity:.6}
th,td{padding:.35rem .8rem .35rem 0;border-bottom:1px solid #8884}
td{font-family:ui-monospace,monospace;font-size:.9rem}
.s{border-radius:.6em;padding:.05em .6em;background:#8883}
.REACHABLE,.PERMANENT{background:#2a94}.STALE,.DELAY,.PROBE{background:#d904}.FAILED,.INCOMPLETE{background:#d444}
a{color:inherit}`

// html returns the page, complete in itself.
func (p Page) html() []byte {
	var b bytes.Buffer
	name := html.EscapeString(p.Name)
	fmt.Fprintf(&b, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"+
		"<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>%s</title>\n<style>%s</style></head>\n<body>\n", name, style)
	fmt.Fprintf(&b, "<h1>%s</h1>\n<p>A virtual host with a TCP/IP stack of its own. This page came through it.</p>\n", name)
	b.WriteString("<h2>Links</h2>\n<table>")
	row(&b, "th", "name", "address", "IPv4")
	for _, l := range p.Links {
		row(&b, "td", l.Name, l.Addr, strings.Join(l.IPs, ", "))
	}
	b.WriteString("</table>\n<h2>Neighbours</h2>\n<table>")
	row(&b, "th", "IPv4", "link", "address", "state")
	for _, n := range p.Neighbours {
		fmt.Fprintf(&b, "<tr><td>%s</td><td>%s</td><td>%s</td><td><span class=\"s %s\">%[4]s</span></td></tr>\n",
			html.EscapeString(n.IP), html.EscapeString(n.Dev), html.EscapeString(n.LLAddr), html.EscapeString(n.State))
	}
	b.WriteString("</table>\n<h2>Also here</h2>\n<p><a href=\"/blob/1000000\">/blob/N</a>: N bytes, the same every time. <a href=\"/healthz\">/healthz</a>: ok.</p>\n</body></html>\n")
	return b.Bytes()
}

func row(b *bytes.Buffer, cell string, values ...string) {
	b.WriteString("<tr>")
	for _, v := range values {
		fmt.Fprintf(b, "<%s>%s</%[1]s>", cell, html.EscapeString(v))
	}
	b.WriteString("</tr>\n")
}
