// Package sock is Linux's socket calls on a host of this stack: socket, bind,
// connect, send, poll and the rest, by descriptor, with Linux's errors, for clients
// that are not in this process. A Process is one client: the descriptors are its
// own, and its end closes them as a process's exit does.
//
// # Requests
//
// A Request is a line of JSON, a Reply another; ParseRequest says what is in the
// first. Requests begin in the order they come. One that blocks, as the call would
// on a blocking socket, holds up none of those behind it, and its reply comes when
// it is done. Of several that wait for the same thing of one socket the oldest is
// served first.
//
// # Sources
//
// What a call does, and in which order it looks for errors, is that of Linux 6:
// tcp_recvmsg, tcp_sendmsg, tcp_poll, __inet_stream_connect, inet_shutdown,
// inet_csk_bind_conflict, udp_recvmsg, datagram_poll, ping_v4_sendmsg and so on,
// named at the lines they decide.
//
// Closing a descriptor while a call waits on it does not wake the call, as on
// Linux: the call holds the socket, which is closed when the last one ends. The end
// of the Process ends them all.
//
// # Concurrency
//
// Everything of a Process happens in the goroutine of its Run: the calls of the
// sockets below do not wait. Those below tell of events by a function that only
// leaves a note (Process.wake). Timers leave theirs. Process.mu guards the notes,
// and nothing is called with it held.
package sock
