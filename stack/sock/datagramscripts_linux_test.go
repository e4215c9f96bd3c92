package sock

import (
	"fmt"
	"strings"
)

// getset sets an option to some values and reads it after each.
func getset(fd int, name string, values ...string) string {
	var b strings.Builder
	get := fmt.Sprintf("{\"op\":\"getsockopt\",\"fd\":%d,\"name\":%q}\n", fd, name)
	b.WriteString(get)
	for _, v := range values {
		fmt.Fprintf(&b, "{\"op\":\"setsockopt\",\"fd\":%d,\"name\":%q,\"value\":%s}\n%s", fd, name, v, get)
	}
	return b.String()
}

const echoRequest = "CAAAAAAAAAdhYmM=" // sequence number 7, "abc"

func datagramScripts() []script {
	return []script{
		{"udp", `
			{"op":"socket","type":"dgram"}
			{"op":"getsockname","fd":3}
			{"op":"getpeername","fd":3}
		` + poll3 + `
			{"op":"recv","fd":3,"len":9,"flags":["MSG_DONTWAIT"]}
			{"op":"send","fd":3,"len":9}
			{"op":"send","fd":3,"len":9,"addr":"PEER","port":0}
			{"op":"send","fd":3,"len":70000,"addr":"PEER","port":9}
			{"op":"send","fd":3,"len":65508,"addr":"PEER","port":9}
			{"op":"send","fd":3,"len":9,"addr":"PEER","port":9,"flags":["MSG_OOB"]}
			{"op":"send","fd":3,"len":9,"addr":"198.51.100.1","port":9}
			{"op":"listen","fd":3,"backlog":1}
			{"op":"accept","fd":3}
			{"op":"getsockopt","fd":3,"name":"TCP_NODELAY"}
			{"op":"setsockopt","fd":3,"name":"TCP_NODELAY","value":1}
			{"op":"getsockopt","fd":3,"name":"SO_TYPE"}
			{"op":"getsockopt","fd":3,"name":"SO_PROTOCOL"}
			{"op":"getsockopt","fd":3,"name":"SO_DOMAIN"}
			{"op":"getsockopt","fd":3,"name":"IP_MTU"}
			{"op":"ioctl","fd":3,"name":"SIOCINQ"}
			{"op":"ioctl","fd":3,"name":"SIOCOUTQ"}
			{"op":"bind","fd":3,"addr":"192.0.2.1","port":5000}
			{"op":"bind","fd":3,"port":5000}
		`},
		{"udp bind", `
			{"op":"socket","type":"dgram"}
			{"op":"bind","fd":3,"addr":"192.0.2.1","port":5000}
			{"op":"bind","fd":3,"port":5000}
			{"op":"bind","fd":3,"port":5001}
			{"op":"getsockname","fd":3}
			{"op":"socket","type":"dgram"}
			{"op":"bind","fd":4,"addr":"SELF","port":5000}
			{"op":"setsockopt","fd":4,"name":"SO_REUSEADDR","value":1}
			{"op":"bind","fd":4,"addr":"SELF","port":5000}
			{"op":"bind","fd":4,"addr":"SELF","port":0}
			{"op":"getsockname","fd":4}
			{"op":"close","fd":3}
			{"op":"socket","type":"dgram"}
			{"op":"bind","fd":3,"port":5000}
		`},
		{"udp data", `
			peer {"op":"socket","type":"dgram"}
			peer {"op":"bind","fd":3,"port":7}
			{"op":"socket","type":"dgram"}
			{"op":"bind","fd":3,"port":5000}
			{"op":"send","fd":3,"data":"aGVsbG8=","addr":"PEER","port":7}
			peer {"op":"recv","fd":3,"len":100}
			peer {"op":"send","fd":3,"data":"aGVsbG8gd29ybGQ=","addr":"SELF","port":5000}
			peer {"op":"send","fd":3,"data":"","addr":"SELF","port":5000}
			peer {"op":"send","fd":3,"len":1000,"addr":"SELF","port":5000}
			sleep 30
		` + poll3 + `
			{"op":"ioctl","fd":3,"name":"SIOCINQ"}
			{"op":"recv","fd":3,"len":5,"flags":["MSG_PEEK"]}
			{"op":"recv","fd":3,"len":5,"flags":["MSG_PEEK","MSG_TRUNC"]}
			{"op":"recv","fd":3,"len":5}
			{"op":"recv","fd":3,"len":5}
			{"op":"recv","fd":3,"len":0,"flags":["MSG_TRUNC"]}
			{"op":"recv","fd":3,"len":5,"flags":["MSG_DONTWAIT"]}
			& {"op":"recv","fd":3,"len":5}
			peer {"op":"send","fd":3,"data":"YWJj","addr":"SELF","port":5000}
			wait
			{"op":"setsockopt","fd":3,"name":"SO_RCVTIMEO","value":{"sec":0,"usec":40000}}
			{"op":"recv","fd":3,"len":5}
			{"op":"send","fd":3,"data":"YWJj","addr":"PEER","port":7,"flags":["MSG_MORE"]}
			{"op":"send","fd":3,"data":"ZGVm"}
			{"op":"send","fd":3,"len":0,"addr":"PEER","port":7}
			peer {"op":"recv","fd":3,"len":100}
			peer {"op":"recv","fd":3,"len":100}
			{"op":"send","fd":3,"len":1,"addr":"10.255.255.255","port":7}
			{"op":"send","fd":3,"len":1,"addr":"255.255.255.255","port":7}
		`},
		{"udp connected", `
			peer {"op":"socket","type":"dgram"}
			peer {"op":"bind","fd":3,"port":7}
			peer {"op":"socket","type":"dgram"}
			peer {"op":"bind","fd":4,"port":8}
			{"op":"socket","type":"dgram"}
			{"op":"connect","fd":3,"addr":"PEER","port":7}
			{"op":"getsockname","fd":3}
			{"op":"getpeername","fd":3}
			{"op":"getsockopt","fd":3,"name":"IP_MTU"}
			{"op":"bind","fd":3,"port":5000}
			{"op":"send","fd":3,"data":"YWJj"}
			peer {"op":"recv","fd":3,"len":100}
			{"op":"send","fd":3,"data":"YWJj","addr":"PEER","port":8}
			peer {"op":"recv","fd":4,"len":100}
			{"op":"connect","fd":3,"addr":"PEER","port":8}
			{"op":"getpeername","fd":3}
			{"op":"connect","fd":3,"addr":null}
			{"op":"getpeername","fd":3}
			{"op":"getsockname","fd":3}
			{"op":"send","fd":3,"len":1}
			{"op":"connect","fd":3,"addr":null}
			{"op":"bind","fd":3,"addr":"SELF","port":5004}
			{"op":"connect","fd":3,"addr":"PEER","port":8}
			{"op":"connect","fd":3,"addr":null}
			{"op":"getsockname","fd":3}
		`},
		{"udp errors", `
			{"op":"socket","type":"dgram"}
			{"op":"connect","fd":3,"addr":"PEER","port":1}
			{"op":"send","fd":3,"len":1}
			sleep 30
		` + poll3 + `
			{"op":"getsockopt","fd":3,"name":"SO_ERROR"}
			{"op":"getsockopt","fd":3,"name":"SO_ERROR"}
			{"op":"send","fd":3,"len":1}
			sleep 30
			{"op":"send","fd":3,"len":1}
			sleep 30
			{"op":"recv","fd":3,"len":1,"flags":["MSG_DONTWAIT"]}
			{"op":"recv","fd":3,"len":1,"flags":["MSG_DONTWAIT"]}
			& {"op":"recv","fd":3,"len":1}
			{"op":"send","fd":3,"len":1}
			wait
			{"op":"recv","fd":3,"len":1,"flags":["MSG_ERRQUEUE"]}
		`},
		{"udp shutdown", `
			peer {"op":"socket","type":"dgram"}
			peer {"op":"bind","fd":3,"port":7}
			{"op":"socket","type":"dgram"}
			{"op":"shutdown","fd":3,"how":"rd"}
		` + poll3 + `
			{"op":"recv","fd":3,"len":1,"flags":["MSG_DONTWAIT"]}
			{"op":"recv","fd":3,"len":1}
			{"op":"socket","type":"dgram"}
			{"op":"connect","fd":4,"addr":"PEER","port":7}
			& {"op":"recv","fd":4,"len":1}
			{"op":"shutdown","fd":4,"how":"rd"}
			wait
			{"op":"poll","fds":[{"fd":4,"events":["POLLIN","POLLOUT","POLLRDHUP"]}],"timeout_ms":0}
			{"op":"send","fd":4,"len":1}
			{"op":"shutdown","fd":4,"how":"wr"}
			{"op":"send","fd":4,"len":1}
			{"op":"poll","fds":[{"fd":4,"events":["POLLIN","POLLOUT","POLLRDHUP"]}],"timeout_ms":0}
			peer {"op":"recv","fd":3,"len":100}
		`},
		{"ping", `
			{"op":"socket","type":"dgram","proto":"icmp"}
			{"op":"getsockname","fd":3}
		` + poll3 + `
			{"op":"recv","fd":3,"len":1,"flags":["MSG_DONTWAIT"]}
			{"op":"bind","fd":3,"addr":"192.0.2.1"}
			{"op":"bind","fd":3,"addr":"SELF","port":77}
			{"op":"send","fd":3,"data":"` + echoRequest + `"}
			{"op":"send","fd":3,"len":7,"addr":"PEER"}
			{"op":"send","fd":3,"len":8,"addr":"PEER"}
			{"op":"send","fd":3,"len":70000,"addr":"PEER"}
			{"op":"bind","fd":3,"addr":"SELF","port":78}
			{"op":"getsockname","fd":3}
			{"op":"send","fd":3,"data":"` + echoRequest + `","addr":"PEER"}
			sleep 30
		` + poll3 + `
			{"op":"recv","fd":3,"len":4,"flags":["MSG_PEEK"]}
			{"op":"recv","fd":3,"len":4,"flags":["MSG_PEEK","MSG_TRUNC"]}
			{"op":"recv","fd":3,"len":100}
			{"op":"connect","fd":3,"addr":"PEER","port":5}
			{"op":"getpeername","fd":3}
			{"op":"send","fd":3,"data":"` + echoRequest + `"}
			{"op":"recv","fd":3,"len":100}
			{"op":"socket","type":"dgram","proto":"icmp"}
			{"op":"bind","fd":4,"addr":"SELF","port":79}
			{"op":"connect","fd":4,"addr":"198.51.100.1","port":0}
			{"op":"connect","fd":4,"addr":"PEER","port":0}
			{"op":"getsockname","fd":4}
			{"op":"connect","fd":4,"addr":null}
			{"op":"getsockname","fd":4}
			{"op":"ioctl","fd":4,"name":"SIOCINQ"}
			{"op":"shutdown","fd":4,"how":"rd"}
			{"op":"getsockopt","fd":4,"name":"SO_PROTOCOL"}
			{"op":"socket","type":"dgram","proto":"icmp"}
			{"op":"send","fd":5,"len":8,"addr":"PEER"}
			{"op":"bind","fd":5,"addr":"SELF","port":78}
		`},
		{"options of the socket", `
			{"op":"socket","type":"stream"}
			{"op":"socket","type":"dgram"}
		` + getset(3, "SO_REUSEADDR", "1", "7", "0", `"x"`) + getset(3, "SO_KEEPALIVE", "1") + getset(3, "SO_RCVBUF", "1", "5000") +
			getset(3, "SO_SNDBUF", "1", "5000") + getset(4, "SO_RCVBUF", "1", "5000") + getset(4, "SO_SNDBUF", "1", "5000") +
			getset(3, "SO_LINGER", `{"onoff":1,"linger":5}`, `{"onoff":0,"linger":7}`) + getset(3, "SO_RCVTIMEO", `{"sec":1,"usec":500000}`, `{"sec":0,"usec":0}`, `{"sec":0,"usec":1000000}`) +
			getset(3, "SO_SNDTIMEO", `{"sec":2,"usec":0}`) + getset(4, "SO_BROADCAST", "1") + getset(3, "SO_TYPE", "1") + getset(3, "SO_ERROR", "1") +
			getset(3, "IP_TOS", "16", "3", "255", "256", "-1") + getset(4, "IP_TOS", "3", "255", "256") + getset(3, "IP_TTL", "1", "255", "0", "256", "-1") + getset(4, "IP_MTU_DISCOVER", "0", "2", "3", "5", "6", "-1") +
			getset(3, "IP_MTU_DISCOVER", "0", "2")},
		{"options of tcp", `
			{"op":"socket","type":"stream"}
		` + getset(3, "TCP_NODELAY", "1", "0") + getset(3, "TCP_CORK", "1", "0") + getset(3, "TCP_MAXSEG", "87", "88", "1000", "32767", "32768", "0") +
			getset(3, "TCP_USER_TIMEOUT", "1000", "-1", "0") + getset(3, "TCP_KEEPIDLE", "1", "0", "32767", "32768") + getset(3, "TCP_KEEPINTVL", "1", "0", "32767", "32768") +
			getset(3, "TCP_KEEPCNT", "1", "0", "127", "128") + getset(3, "TCP_SYNCNT", "1", "0", "127", "128") + getset(3, "TCP_LINGER2", "5", "-5", "200", "0") +
			getset(3, "TCP_DEFER_ACCEPT", "1", "2", "5", "100", "0", "-1") + getset(3, "TCP_NOTSENT_LOWAT", "1", "1000", "-1", "0") + getset(3, "TCP_QUICKACK", "0", "1") +
			getset(3, "TCP_WINDOW_CLAMP", "1", "5000", "0", "-1") + `
			{"op":"setsockopt","fd":3,"name":"TCP_CONGESTION","value":"reno"}
			{"op":"setsockopt","fd":3,"name":"TCP_CONGESTION","value":"nonsense"}
			{"op":"getsockopt","fd":3,"name":"TCP_INFO"}
			{"op":"listen","fd":3,"backlog":7}
			{"op":"getsockopt","fd":3,"name":"TCP_INFO"}
		`},
		{"tcp info", connected + `
			{"op":"getsockopt","fd":3,"name":"TCP_INFO"}
			{"op":"getsockopt","fd":3,"name":"TCP_MAXSEG"}
			{"op":"getsockopt","fd":3,"name":"IP_MTU"}
			{"op":"shutdown","fd":3,"how":"wr"}
			sleep 30
			{"op":"getsockopt","fd":3,"name":"TCP_INFO"}
		`},
		{"what a listener passes on", `
			{"op":"socket","type":"stream"}
			{"op":"bind","fd":3,"port":5005}
			{"op":"listen","fd":3,"backlog":2}
			{"op":"setsockopt","fd":3,"name":"TCP_NODELAY","value":1}
			{"op":"setsockopt","fd":3,"name":"SO_KEEPALIVE","value":1}
			{"op":"setsockopt","fd":3,"name":"TCP_KEEPIDLE","value":50}
			{"op":"setsockopt","fd":3,"name":"IP_TTL","value":50}
			{"op":"setsockopt","fd":3,"name":"SO_RCVTIMEO","value":{"sec":1,"usec":0}}
			{"op":"setsockopt","fd":3,"name":"SO_LINGER","value":{"onoff":1,"linger":1}}
			peer {"op":"socket","type":"stream"}
			peer {"op":"bind","fd":3,"port":6005}
			peer {"op":"connect","fd":3,"addr":"SELF","port":5005}
			{"op":"accept","fd":3}
		` + getset(4, "TCP_NODELAY") + getset(4, "SO_KEEPALIVE") + getset(4, "TCP_KEEPIDLE") + getset(4, "IP_TTL") + getset(4, "SO_RCVTIMEO") + getset(4, "SO_LINGER")},
		{"backlog", `
			{"op":"socket","type":"stream","nonblock":true}
			{"op":"bind","fd":3,"port":5006}
			{"op":"listen","fd":3,"backlog":0}
			peer {"op":"socket","type":"stream","nonblock":true}
			peer {"op":"connect","fd":3,"addr":"SELF","port":5006}
			sleep 30
			{"op":"accept","fd":3}
			{"op":"accept","fd":3}
		`},
		{"cork", connected + `
			{"op":"setsockopt","fd":3,"name":"TCP_CORK","value":1}
			{"op":"send","fd":3,"len":10}
			sleep 50
			peer {"op":"recv","fd":4,"len":10,"flags":["MSG_DONTWAIT"]}
			{"op":"ioctl","fd":3,"name":"SIOCOUTQ"}
			{"op":"setsockopt","fd":3,"name":"TCP_CORK","value":0}
			sleep 30
			peer {"op":"recv","fd":4,"len":10,"want":"len","flags":["MSG_DONTWAIT"]}
			{"op":"send","fd":3,"len":10,"flags":["MSG_MORE"]}
			sleep 30
			peer {"op":"recv","fd":4,"len":10,"flags":["MSG_DONTWAIT"]}
			{"op":"send","fd":3,"len":10}
			sleep 30
			peer {"op":"recv","fd":4,"len":100,"want":"len","flags":["MSG_DONTWAIT"]}
			{"op":"send","fd":3,"len":10,"flags":["MSG_MORE"]}
			sleep 400
			peer {"op":"recv","fd":4,"len":100,"want":"len","flags":["MSG_DONTWAIT"]}
		`},
		{"nagle", connected + `
			{"op":"setsockopt","fd":3,"name":"TCP_NODELAY","value":1}
			{"op":"send","fd":3,"len":10}
			sleep 20
			{"op":"send","fd":3,"len":10}
			{"op":"send","fd":3,"len":10}
			sleep 20
			peer {"op":"recv","fd":4,"len":100,"want":"len","flags":["MSG_DONTWAIT"]}
		`},
		{"defer accept", `
			{"op":"socket","type":"stream","nonblock":true}
			{"op":"setsockopt","fd":3,"name":"TCP_DEFER_ACCEPT","value":5}
			{"op":"bind","fd":3,"port":5007}
			{"op":"listen","fd":3,"backlog":5}
			peer {"op":"socket","type":"stream"}
			peer {"op":"connect","fd":3,"addr":"SELF","port":5007}
			sleep 30
			{"op":"accept","fd":3}
		` + poll3 + `
			peer {"op":"send","fd":3,"data":"YWJj"}
			sleep 30
		` + poll3 + `
			{"op":"accept","fd":3}
			{"op":"recv","fd":4,"len":10}
		`},
		{"user timeout", connected + `
			{"op":"setsockopt","fd":3,"name":"TCP_USER_TIMEOUT","value":300}
			{"op":"getsockopt","fd":3,"name":"TCP_USER_TIMEOUT"}
			{"op":"send","fd":3,"len":1}
		`},
		{"poll", connected + `
			{"op":"socket","type":"dgram"}
			{"op":"poll","fds":[],"timeout_ms":10}
			{"op":"poll","fds":[{"fd":99,"events":["POLLIN"]},{"fd":3,"events":["POLLOUT"]}],"timeout_ms":-1}
			& {"op":"poll","fds":[{"fd":3,"events":["POLLIN"]},{"fd":4,"events":["POLLIN"]},{"fd":3,"events":["POLLIN","POLLOUT"]}],"timeout_ms":-1}
			wait
			& {"op":"poll","fds":[{"fd":3,"events":["POLLIN","POLLRDNORM"]},{"fd":4,"events":["POLLIN"]}],"timeout_ms":1000}
			peer {"op":"send","fd":4,"len":10}
			wait
			{"op":"poll","fds":[{"fd":3,"events":[]},{"fd":4,"events":["POLLOUT","POLLWRNORM","POLLWRBAND"]}],"timeout_ms":0}
		`},
	}
}
