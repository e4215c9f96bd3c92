// Package icmp is the Internet Control Message Protocol of a host or a router:
// echo, the errors that are sent and those that arrive, and ping sockets.
package icmp
