// Package control lets other processes look at and change a running host: HTTP
// and JSON over a Unix socket. Server is an http.Handler over a stack.Host, so
// tests can use it without a socket; Client is the other end.
//
// # Requests
//
// Reads are GET with their filter in the query, commands are POST with a JSON
// body; the names below /v1/ are those of iproute2's objects. JSON fields are
// spelled as iproute2 spells them, as far as it has them. A failure is a JSON
// object with the text and, where Linux has one, the errno; Error carries both.
//
//	GET  /v1/status
//	GET  /v1/neigh?to=&dev=&nud=&proxy=    POST /v1/neigh/{add,change,replace,del,flush}
//	GET  /v1/neigh/get?to=&dev=            GET  /v1/neigh/monitor?all=
//	GET  /v1/link?dev=                     POST /v1/link/{add,del,set}
//	GET  /v1/addr?dev=                     POST /v1/addr/{add,del,replace}
//	GET  /v1/addr/monitor                  GET  /v1/trace?neigh=&drops=
//	GET  /v1/route?table=                  POST /v1/route/{add,del,replace,get}
//	GET  /v1/sysctl?key=                   POST /v1/sysctl/set
//	GET  /v1/ntable?dev=                   GET  /v1/counters
//	GET  /v1/ss
//	POST /v1/ping                          POST /v1/arping
//	POST /v1/blast                         POST /v1/nc (an upgrade, see Frame)
//	POST /v1/sock (an upgrade, see package sock)
//
// The monitors, trace, ping and arping answer with one JSON object a line for as long as the client
// stays. Their ends hold nothing open: a client that goes away ends the work done
// for it.
//
// # Concurrency
//
// All methods of Server and Client may be called concurrently. A Session has one
// reader and one writer.
package control
