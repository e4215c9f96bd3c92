package sock

// listening is how most scripts begin at the peer: 3 listens.
const listening = `
	peer {"op":"socket","type":"stream"}
	peer {"op":"setsockopt","fd":3,"name":"SO_REUSEADDR","value":1}
	peer {"op":"bind","fd":3,"port":80}
	peer {"op":"listen","fd":3,"backlog":5}
	{"op":"socket","type":"stream"}
`

// connected continues: 3 is connected to the peer's 4.
const connected = listening + `
	{"op":"connect","fd":3,"addr":"PEER","port":80}
	peer {"op":"accept","fd":3}
`

const poll3 = `
	{"op":"poll","fds":[{"fd":3,"events":["POLLIN","POLLOUT","POLLPRI","POLLRDHUP"]}],"timeout_ms":0}
`

func scripts() []script {
	return []script{
		{"descriptors", `
			{"op":"socket","type":"stream","proto":"tcp"}
			{"op":"socket","type":"dgram"}
			{"op":"socket","type":"dgram","proto":"icmp"}
			{"op":"close","fd":4}
			{"op":"close","fd":4}
			{"op":"socket","type":"stream","nonblock":true}
			{"op":"fcntl","fd":4}
			{"op":"fcntl","fd":4,"nonblock":false}
			{"op":"fcntl","fd":3,"nonblock":true}
			{"op":"socket","type":"stream","proto":"udp"}
			{"op":"socket","type":"dgram","proto":"tcp"}
			{"op":"recv","fd":99,"len":1}
			{"op":"nonsense"}
			{"op":"getsockopt","fd":3,"name":"SO_NONSENSE"}
			{"op":"setsockopt","fd":3,"name":"SO_NONSENSE","value":1}
		`},
		{"fresh socket", `
			{"op":"socket","type":"stream"}
			{"op":"getsockname","fd":3}
			{"op":"getpeername","fd":3}
			{"op":"recv","fd":3,"len":1}
			{"op":"send","fd":3,"len":1}
			{"op":"accept","fd":3}
			{"op":"ioctl","fd":3,"name":"SIOCINQ"}
			{"op":"ioctl","fd":3,"name":"SIOCOUTQ"}
			{"op":"getsockopt","fd":3,"name":"SO_ERROR"}
			{"op":"getsockopt","fd":3,"name":"IP_MTU"}
			{"op":"shutdown","fd":3,"how":"rd"}
		` + poll3 + `
			{"op":"recv","fd":3,"len":1}
			{"op":"shutdown","fd":3,"how":"wr"}
		` + poll3 + `
			{"op":"getsockopt","fd":3,"name":"TCP_MAXSEG"}
		`},
		{"bind", `
			{"op":"socket","type":"stream"}
			{"op":"bind","fd":3,"addr":"192.0.2.1","port":5000}
			{"op":"bind","fd":3,"addr":"SELF","port":5000}
			{"op":"bind","fd":3,"addr":"SELF","port":5000}
			{"op":"bind","fd":3,"addr":"192.0.2.1","port":5000}
			{"op":"getsockname","fd":3}
			{"op":"socket","type":"stream"}
			{"op":"bind","fd":4,"port":5000}
			{"op":"setsockopt","fd":4,"name":"SO_REUSEADDR","value":1}
			{"op":"bind","fd":4,"port":5000}
			{"op":"setsockopt","fd":3,"name":"SO_REUSEADDR","value":1}
			{"op":"bind","fd":4,"port":5000}
			{"op":"listen","fd":3,"backlog":1}
			{"op":"listen","fd":4,"backlog":1}
			{"op":"socket","type":"stream"}
			{"op":"setsockopt","fd":5,"name":"SO_REUSEADDR","value":1}
			{"op":"bind","fd":5,"port":5000}
			{"op":"close","fd":3}
			{"op":"listen","fd":4,"backlog":1}
			{"op":"bind","fd":5,"port":0}
			{"op":"getsockname","fd":5}
			{"op":"listen","fd":5,"backlog":1}
			{"op":"listen","fd":5,"backlog":2}
		`},
		{"listener", `
			{"op":"socket","type":"stream","nonblock":true}
			{"op":"bind","fd":3,"port":5001}
			{"op":"listen","fd":3,"backlog":2}
		` + poll3 + `
			{"op":"accept","fd":3}
			{"op":"send","fd":3,"len":1}
			{"op":"recv","fd":3,"len":1}
			{"op":"connect","fd":3,"addr":"PEER","port":80}
			{"op":"getsockopt","fd":3,"name":"SO_ACCEPTCONN"}
			{"op":"ioctl","fd":3,"name":"SIOCINQ"}
			peer {"op":"socket","type":"stream"}
			peer {"op":"bind","fd":3,"port":6001}
			peer {"op":"connect","fd":3,"addr":"SELF","port":5001}
			sleep 50
		` + poll3 + `
			{"op":"accept","fd":3,"nonblock":true}
			{"op":"accept","fd":3}
			{"op":"getsockname","fd":4}
			{"op":"getpeername","fd":4}
			{"op":"fcntl","fd":4}
			{"op":"recv","fd":4,"len":1}
			{"op":"shutdown","fd":3,"how":"wr"}
		` + poll3 + `
			{"op":"shutdown","fd":3,"how":"rd"}
		` + poll3 + `
			{"op":"accept","fd":3}
			{"op":"getsockname","fd":3}
			{"op":"listen","fd":3,"backlog":2}
			{"op":"connect","fd":3,"addr":null}
			{"op":"getsockname","fd":3}
		` + poll3},
		{"accept waits", `
			{"op":"socket","type":"stream"}
			{"op":"bind","fd":3,"port":5002}
			{"op":"listen","fd":3,"backlog":2}
			& {"op":"accept","fd":3}
			& {"op":"poll","fds":[{"fd":3,"events":["POLLIN"]}],"timeout_ms":1}
			sleep 20
			peer {"op":"socket","type":"stream"}
			peer {"op":"bind","fd":3,"port":6002}
			peer {"op":"connect","fd":3,"addr":"SELF","port":5002}
			wait
			{"op":"setsockopt","fd":3,"name":"SO_RCVTIMEO","value":{"sec":0,"usec":50000}}
			{"op":"accept","fd":3}
			& {"op":"accept","fd":3}
			{"op":"shutdown","fd":3,"how":"rd"}
			wait
		`},
		{"connect refused", `
			{"op":"socket","type":"stream"}
			{"op":"connect","fd":3,"addr":"PEER","port":1}
			{"op":"getsockopt","fd":3,"name":"SO_ERROR"}
			{"op":"getsockname","fd":3}
			{"op":"getpeername","fd":3}
		` + poll3 + `
			{"op":"recv","fd":3,"len":1}
			{"op":"send","fd":3,"len":1}
			{"op":"connect","fd":3,"addr":"PEER","port":1}
			{"op":"bind","fd":3,"port":5003}
			{"op":"connect","fd":3,"addr":"PEER","port":1}
			{"op":"getsockname","fd":3}
		`},
		{"connect refused without waiting", `
			{"op":"socket","type":"stream","nonblock":true}
			{"op":"connect","fd":3,"addr":"PEER","port":1}
			sleep 50
		` + poll3 + `
			{"op":"getsockopt","fd":3,"name":"SO_ERROR"}
			{"op":"getsockopt","fd":3,"name":"SO_ERROR"}
		` + poll3 + `
			{"op":"getpeername","fd":3}
			{"op":"recv","fd":3,"len":1}
			{"op":"send","fd":3,"len":1}
			{"op":"shutdown","fd":3,"how":"wr"}
			{"op":"connect","fd":3,"addr":"PEER","port":1}
			{"op":"connect","fd":3,"addr":"PEER","port":1}
			sleep 50
			{"op":"connect","fd":3,"addr":"PEER","port":1}
			{"op":"connect","fd":3,"addr":"PEER","port":1}
			sleep 50
			{"op":"recv","fd":3,"len":1}
			{"op":"recv","fd":3,"len":1}
		`},
		{"connect unreachable", `
			{"op":"socket","type":"stream"}
			{"op":"connect","fd":3,"addr":"198.51.100.1","port":1}
			{"op":"connect","fd":3,"addr":"255.255.255.255","port":1}
			{"op":"getsockname","fd":3}
			{"op":"socket","type":"dgram"}
			{"op":"connect","fd":4,"addr":"198.51.100.1","port":1}
			{"op":"connect","fd":4,"addr":"255.255.255.255","port":1}
		`},
		{"connect without waiting", listening + `
			{"op":"fcntl","fd":3,"nonblock":true}
			{"op":"connect","fd":3,"addr":"PEER","port":80}
			sleep 50
		` + poll3 + `
			{"op":"getsockopt","fd":3,"name":"SO_ERROR"}
			{"op":"connect","fd":3,"addr":"PEER","port":80}
			{"op":"connect","fd":3,"addr":"PEER","port":80}
			{"op":"bind","fd":3,"port":5000}
			{"op":"listen","fd":3,"backlog":1}
			{"op":"getpeername","fd":3}
			{"op":"recv","fd":3,"len":1}
			{"op":"getsockopt","fd":3,"name":"IP_MTU"}
		`},
		{"data", connected + poll3 + `
			{"op":"send","fd":3,"data":"aGVsbG8="}
			peer {"op":"recv","fd":4,"len":100}
			peer {"op":"send","fd":4,"data":"aGVsbG8gd29ybGQ="}
			sleep 20
			{"op":"ioctl","fd":3,"name":"SIOCINQ"}
		` + poll3 + `
			{"op":"recv","fd":3,"len":0}
			{"op":"recv","fd":3,"len":5,"flags":["MSG_PEEK"]}
			{"op":"recv","fd":3,"len":2}
			{"op":"recv","fd":3,"len":3,"flags":["MSG_TRUNC"],"want":"len"}
			{"op":"recv","fd":3,"len":100,"flags":["MSG_PEEK"],"want":"len"}
			{"op":"recv","fd":3,"len":100}
			{"op":"recv","fd":3,"len":100,"flags":["MSG_DONTWAIT"]}
			{"op":"recv","fd":3,"len":0,"flags":["MSG_DONTWAIT"]}
			{"op":"recv","fd":3,"len":1,"flags":["MSG_OOB"]}
			{"op":"recv","fd":3,"len":1,"flags":["MSG_ERRQUEUE"]}
			{"op":"send","fd":3,"len":0}
			{"op":"send","fd":3,"iov":[1,2,3],"addr":"192.0.2.1","port":9}
			{"op":"send","fd":3,"len":100000,"flags":["MSG_NOSIGNAL"]}
			peer {"op":"recv","fd":4,"len":100006,"flags":["MSG_WAITALL"],"want":"len"}
			sleep 50
			{"op":"ioctl","fd":3,"name":"SIOCOUTQ"}
		`},
		{"waiting for data", connected + `
			& {"op":"recv","fd":3,"len":5,"flags":["MSG_WAITALL"]}
			peer {"op":"send","fd":4,"data":"YWJj"}
			sleep 50
			peer {"op":"send","fd":4,"data":"ZGVmZw=="}
			wait
			{"op":"recv","fd":3,"len":9}
			{"op":"setsockopt","fd":3,"name":"SO_RCVTIMEO","value":{"sec":0,"usec":60000}}
			{"op":"recv","fd":3,"len":5}
			& {"op":"recv","fd":3,"len":5,"flags":["MSG_WAITALL"]}
			peer {"op":"send","fd":4,"data":"YWJj"}
			wait
			{"op":"setsockopt","fd":3,"name":"SO_RCVTIMEO","value":{"sec":0,"usec":0}}
			& {"op":"recv","fd":3,"len":5,"flags":["MSG_WAITALL"]}
			peer {"op":"send","fd":4,"data":"YWJj"}
			peer {"op":"shutdown","fd":4,"how":"wr"}
			wait
			{"op":"recv","fd":3,"len":5}
			& {"op":"poll","fds":[{"fd":3,"events":["POLLPRI"]}],"timeout_ms":30}
			wait
		`},
		{"end of stream", connected + `
			peer {"op":"send","fd":4,"data":"YWJj"}
			peer {"op":"shutdown","fd":4,"how":"wr"}
			sleep 50
		` + poll3 + `
			{"op":"getsockopt","fd":3,"name":"TCP_INFO"}
			{"op":"recv","fd":3,"len":5}
			{"op":"recv","fd":3,"len":5}
			{"op":"recv","fd":3,"len":5,"flags":["MSG_DONTWAIT"]}
		` + poll3 + `
			{"op":"send","fd":3,"len":1}
			{"op":"shutdown","fd":3,"how":"wr"}
			sleep 50
		` + poll3 + `
			{"op":"send","fd":3,"len":1}
			{"op":"getpeername","fd":3}
			{"op":"getsockname","fd":3}
			{"op":"recv","fd":3,"len":5}
			{"op":"connect","fd":3,"addr":"PEER","port":80}
			{"op":"shutdown","fd":3,"how":"wr"}
		`},
		{"shutdown", connected + `
			{"op":"shutdown","fd":3,"how":"wr"}
			sleep 50
		` + poll3 + `
			{"op":"send","fd":3,"len":1}
			{"op":"shutdown","fd":3,"how":"wr"}
			peer {"op":"recv","fd":4,"len":1}
			peer {"op":"send","fd":4,"len":2}
			sleep 20
			{"op":"recv","fd":3,"len":9}
			{"op":"shutdown","fd":3,"how":"rd"}
		` + poll3 + `
			{"op":"recv","fd":3,"len":9}
			peer {"op":"close","fd":4}
			sleep 50
		` + poll3 + `
			{"op":"getsockopt","fd":3,"name":"SO_ERROR"}
		`},
		{"shut for reading", connected + `
			& {"op":"recv","fd":3,"len":9}
			{"op":"shutdown","fd":3,"how":"rd"}
			wait
		` + poll3 + `
			{"op":"recv","fd":3,"len":9}
			peer {"op":"send","fd":4,"data":"YWJj"}
			sleep 20
			{"op":"recv","fd":3,"len":9}
			{"op":"recv","fd":3,"len":9}
		`},
		{"reset", connected + `
			peer {"op":"setsockopt","fd":4,"name":"SO_LINGER","value":{"onoff":1,"linger":0}}
			peer {"op":"send","fd":4,"data":"YWJj"}
			peer {"op":"close","fd":4}
			sleep 50
		` + poll3 + `
			{"op":"recv","fd":3,"len":9}
			{"op":"recv","fd":3,"len":9}
		` + poll3 + `
			{"op":"recv","fd":3,"len":9}
			{"op":"send","fd":3,"len":9}
			{"op":"getsockopt","fd":3,"name":"SO_ERROR"}
			{"op":"getpeername","fd":3}
			{"op":"getsockopt","fd":3,"name":"TCP_INFO"}
			{"op":"shutdown","fd":3,"how":"wr"}
			{"op":"connect","fd":3,"addr":"PEER","port":80}
			{"op":"connect","fd":3,"addr":null}
			{"op":"connect","fd":3,"addr":"PEER","port":80}
		`},
		{"reset while waiting", connected + `
			& {"op":"poll","fds":[{"fd":3,"events":[]}],"timeout_ms":-1}
			peer {"op":"setsockopt","fd":4,"name":"SO_LINGER","value":{"onoff":1,"linger":0}}
			peer {"op":"close","fd":4}
			wait
			{"op":"send","fd":3,"len":9}
			{"op":"send","fd":3,"len":9}
			{"op":"recv","fd":3,"len":9}
		`},
		{"send after reset", connected + `
			peer {"op":"close","fd":4}
			sleep 20
			{"op":"send","fd":3,"len":9}
			sleep 50
			{"op":"send","fd":3,"len":9}
			{"op":"send","fd":3,"len":9}
			{"op":"recv","fd":3,"len":9}
		`},
		{"dissolve", connected + `
			{"op":"connect","fd":3,"addr":null}
			peer {"op":"recv","fd":4,"len":1}
			{"op":"getpeername","fd":3}
		` + poll3 + `
			{"op":"getsockopt","fd":3,"name":"SO_ERROR"}
			{"op":"recv","fd":3,"len":1}
			{"op":"connect","fd":3,"addr":"PEER","port":80}
			peer {"op":"accept","fd":3}
			{"op":"send","fd":3,"len":1}
			peer {"op":"recv","fd":5,"len":1}
		`},
		{"close with unread data", connected + `
			peer {"op":"send","fd":4,"len":10}
			sleep 20
			{"op":"close","fd":3}
			sleep 20
			peer {"op":"recv","fd":4,"len":10}
		`},
		{"close", connected + `
			{"op":"send","fd":3,"len":10}
			{"op":"close","fd":3}
			peer {"op":"recv","fd":4,"len":10,"want":"len"}
			peer {"op":"recv","fd":4,"len":10,"want":"len"}
		`},
		{"close while a call waits", connected + `
			& {"op":"recv","fd":3,"len":10}
			{"op":"close","fd":3}
			{"op":"recv","fd":3,"len":10}
			{"op":"socket","type":"stream"}
			peer {"op":"send","fd":4,"data":"YWJj"}
			wait
			peer {"op":"recv","fd":4,"len":10}
		`},
		{"linger", connected + `
			{"op":"getsockopt","fd":3,"name":"SO_LINGER"}
			{"op":"setsockopt","fd":3,"name":"SO_LINGER","value":{"onoff":1,"linger":2}}
			{"op":"getsockopt","fd":3,"name":"SO_LINGER"}
			{"op":"send","fd":3,"len":100000}
			& {"op":"close","fd":3}
			peer {"op":"recv","fd":4,"len":100000,"want":"len","flags":["MSG_WAITALL"]}
			wait
			peer {"op":"recv","fd":4,"len":1}
		`},
		{"abortive close", connected + `
			{"op":"setsockopt","fd":3,"name":"SO_LINGER","value":{"onoff":1,"linger":0}}
			{"op":"send","fd":3,"len":10}
			{"op":"close","fd":3}
			sleep 20
			peer {"op":"recv","fd":4,"len":10,"want":"len"}
			peer {"op":"recv","fd":4,"len":10,"want":"len"}
		`},
	}
}
