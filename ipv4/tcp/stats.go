package tcp

import "sync/atomic"

// counter is one of the counters that Linux shows in /proc/net/snmp and
// /proc/net/netstat.
type counter uint8

const (
	activeOpens counter = iota
	passiveOpens
	attemptFails
	estabResets
	inSegs
	outSegs
	retransSegs
	inErrs
	outRsts
	inCsumErrors

	listenOverflows
	listenDrops
	timeWaited
	timeWaitRecycled
	timeWaitOverflow
	delayedACKs
	synChallenge
	challengeACK
	ackSkippedSeq
	ackSkippedPAWS
	ackSkippedChallenge
	pawsEstab
	pawsActive
	ofoQueue
	ofoDrop
	renoRecovery
	renoFailures
	lossFailures
	timeouts
	fastRetrans
	slowStartRetrans
	synRetrans
	abortOnData
	abortOnClose
	abortOnTimeout
	abortOnLinger
	zeroWindowDrop
	winProbe
	keepAliveProbe
	outOfWindowICMPs
	mtuReduced
	origDataSent
	sackRecovery
	sackRecoveryFail
	sackFailures
	sackReneging
	sackReorder
	sackDiscard
	sackShifted
	dsackOldSent
	dsackOFOSent
	dsackRecv
	dsackOFORecv
	dsackIgnoredOld
	dsackIgnoredNoUndo
	dsackIgnoredDubious
	lossProbes
	lossProbeRecovery
	fullUndo
	partialUndo
	dsackUndo
	lossUndo
	spuriousRTOs
	lostRetransmit
	inCEPkts
	ecnReductions
	syncookiesSent
	syncookiesRecv
	syncookiesFailed
	queueFullCookie
	queueFullDrop

	numCounters
)

var counterNames = [numCounters]string{
	activeOpens: "TcpActiveOpens", passiveOpens: "TcpPassiveOpens", attemptFails: "TcpAttemptFails",
	estabResets: "TcpEstabResets", inSegs: "TcpInSegs", outSegs: "TcpOutSegs", retransSegs: "TcpRetransSegs",
	inErrs: "TcpInErrs", outRsts: "TcpOutRsts", inCsumErrors: "TcpInCsumErrors",
	listenOverflows: "TcpExtListenOverflows", listenDrops: "TcpExtListenDrops", timeWaited: "TcpExtTW",
	timeWaitRecycled: "TcpExtTWRecycled", timeWaitOverflow: "TcpExtTCPTimeWaitOverflow",
	delayedACKs: "TcpExtDelayedACKs", synChallenge: "TcpExtTCPSYNChallenge", challengeACK: "TcpExtTCPChallengeACK",
	ackSkippedSeq: "TcpExtTCPACKSkippedSeq", ackSkippedPAWS: "TcpExtTCPACKSkippedPAWS",
	ackSkippedChallenge: "TcpExtTCPACKSkippedChallenge", pawsEstab: "TcpExtPAWSEstab", pawsActive: "TcpExtPAWSActive",
	ofoQueue: "TcpExtTCPOFOQueue", ofoDrop: "TcpExtTCPOFODrop",
	renoRecovery: "TcpExtTCPRenoRecovery", renoFailures: "TcpExtTCPRenoFailures", lossFailures: "TcpExtTCPLossFailures",
	timeouts: "TcpExtTCPTimeouts", fastRetrans: "TcpExtTCPFastRetrans", slowStartRetrans: "TcpExtTCPSlowStartRetrans",
	synRetrans: "TcpExtTCPSynRetrans", abortOnData: "TcpExtTCPAbortOnData", abortOnClose: "TcpExtTCPAbortOnClose",
	abortOnTimeout: "TcpExtTCPAbortOnTimeout", abortOnLinger: "TcpExtTCPAbortOnLinger",
	zeroWindowDrop: "TcpExtTCPZeroWindowDrop", winProbe: "TcpExtTCPWinProbe", keepAliveProbe: "TcpExtTCPKeepAlive", outOfWindowICMPs: "TcpExtOutOfWindowIcmps", mtuReduced: "TcpExtTCPMTUReduced",
	origDataSent: "TcpExtTCPOrigDataSent",
	sackRecovery: "TcpExtTCPSackRecovery", sackRecoveryFail: "TcpExtTCPSackRecoveryFail", sackFailures: "TcpExtTCPSackFailures",
	sackReneging: "TcpExtTCPSACKReneging", sackReorder: "TcpExtTCPSACKReorder", sackDiscard: "TcpExtTCPSACKDiscard",
	sackShifted: "TcpExtTCPSackShifted", dsackOldSent: "TcpExtTCPDSACKOldSent", dsackOFOSent: "TcpExtTCPDSACKOfoSent",
	dsackRecv: "TcpExtTCPDSACKRecv", dsackOFORecv: "TcpExtTCPDSACKOfoRecv", dsackIgnoredOld: "TcpExtTCPDSACKIgnoredOld",
	dsackIgnoredNoUndo: "TcpExtTCPDSACKIgnoredNoUndo", dsackIgnoredDubious: "TcpExtTCPDSACKIgnoredDubious",
	lossProbes: "TcpExtTCPLossProbes", lossProbeRecovery: "TcpExtTCPLossProbeRecovery", fullUndo: "TcpExtTCPFullUndo",
	partialUndo: "TcpExtTCPPartialUndo", dsackUndo: "TcpExtTCPDSACKUndo", lossUndo: "TcpExtTCPLossUndo",
	spuriousRTOs: "TcpExtTCPSpuriousRTOs", lostRetransmit: "TcpExtTCPLostRetransmit",
	inCEPkts: "IpExtInCEPkts", ecnReductions: "TcpExtTCPECNReductions",
	syncookiesSent: "TcpExtSyncookiesSent", syncookiesRecv: "TcpExtSyncookiesRecv", syncookiesFailed: "TcpExtSyncookiesFailed",
	queueFullCookie: "TcpExtTCPReqQFullDoCookies", queueFullDrop: "TcpExtTCPReqQFullDrop",
}

// stats are the counters of one Protocol. The zero value is ready.
type stats struct{ n [numCounters]atomic.Uint64 }

func (s *stats) add(c counter) { s.n[c].Add(1) }

func (s *stats) addN(c counter, n int) { s.n[c].Add(uint64(n)) }

// Stats returns the counters under the names that nstat gives them, those of
// /proc/net/snmp and /proc/net/netstat with their prefix, and the gauge
// TcpCurrEstab.
func (pr *Protocol) Stats() map[string]uint64 {
	m := make(map[string]uint64, numCounters+1)
	for c, name := range counterNames {
		m[name] = pr.stats.n[c].Load()
	}
	m["TcpCurrEstab"] = uint64(max(pr.established.Load(), 0))
	return m
}
