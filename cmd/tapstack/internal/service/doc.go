// Package service has the small servers that a host runs: http on port 80, echo
// (RFC 862), discard (RFC 863) and chargen (RFC 864). They know net.Listener and
// net.PacketConn only, so they run over any network.
package service
