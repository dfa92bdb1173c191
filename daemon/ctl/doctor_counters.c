/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl doctor: what the counters of the kernel's XFRM say, in words.
 *
 * They count since the network namespace was made, for all programs together, so each is a hint and
 * no more. The kernel checks an arriving packet in this order: SPI (InNoStates), sequence number
 * (InStateSeqError), integrity (InStateProtoError), selector (InStateMismatch), policy
 * (InTmplMismatch); the first that fails is counted.
 */
#include <inttypes.h>
#include <string.h>

#include "daemon/ctl/doctor.h"
#include "xfrm/xfrm.h"

static const struct meaning {
	const char *name;
	const char *meaning;
	const char *advice;
} MEANINGS[] = {
	{"XfrmInError", "packets with ESP could not be taken in",
	 "see the kernel's log; is memory short?"},
	{"XfrmInBufferError", "there was no memory for packets with ESP", "add memory"},
	{"XfrmInHdrError", "the ESP or AH header of packets was cut short or wrong",
	 "a device on the way damages them: look at them with tcpdump"},
	{"XfrmInNoStates", "ESP came with an SPI that no SA has",
	 "usual after a set ended; many: a phone lost its registration here and does not know, "
	 "or somebody guesses SPIs"},
	{"XfrmInStateProtoError", "ESP failed its integrity check",
	 "the keys differ: were CK and IK those of this very challenge? Or the packets are forged"},
	{"XfrmInStateModeError", "ESP came in another mode than its SA has",
	 "the phone uses tunnel mode where transport was agreed, or the other way round"},
	{"XfrmInStateSeqError", "the sequence number of ESP was seen before, or is too old",
	 "replayed, or overtaken by more than replay-window packets: raise it if it grows "
	 "steadily"},
	{"XfrmInStateExpired", "ESP came for an SA that had expired",
	 "usual in the last second of a registration"},
	{"XfrmInStateMismatch", "ESP was good, but its addresses or ports are not those of its SA",
	 "the phone sends from another port than it announced, crosses its flows (selectors = "
	 "\"relaxed\"), or came through a NAT"},
	{"XfrmInStateInvalid", "ESP came for an SA that was just going away",
	 "usual at the end of a set"},
	{"XfrmInTmplMismatch", "something not protected as the guards want was dropped",
	 "clear text to a protected port: the guards work. Many from one phone: it registered here "
	 "and goes on in clear; look with tcpdump"},
	{"XfrmInNoPols", "what arrived had no policy and was dropped",
	 "the default policy is \"block\" (ip xfrm policy getdefault), or ESP in a tunnel belongs "
	 "to "
	 "no policy: did somebody flush policies?"},
	{"XfrmInPolBlock", "a policy of another program blocked what arrived",
	 "see `ip xfrm policy` for action block"},
	{"XfrmInPolError", "policies for what arrived could not be looked up", "is memory short?"},
	{"XfrmOutError", "packets could not be protected", "see the kernel's log"},
	{"XfrmOutBundleGenError", "no path to the phone could be made for protected packets",
	 "look at routes and memory"},
	{"XfrmOutBundleCheckError", "the path of protected packets went away", "look at routes"},
	{"XfrmOutNoStates", "packets to a phone were dropped because no SA was there",
	 "usual for a while after a set ended; else the SIP server sends from the wrong port: it "
	 "must take what sa.route says"},
	{"XfrmOutStateProtoError", "encryption failed", "see the kernel's log"},
	{"XfrmOutStateModeError", "packets did not fit the mode or the MTU of their SA",
	 "look at the MTU of the interface"},
	{"XfrmOutStateSeqError", "an SA has used all its sequence numbers and sends no more",
	 "the phone must register again"},
	{"XfrmOutStateExpired", "packets to a phone met an SA that had expired",
	 "usual in the last second of a registration"},
	{"XfrmOutPolBlock", "a policy of another program blocked what was sent",
	 "see `ip xfrm policy` for action block"},
	{"XfrmOutPolDead", "what was sent met a policy that was going away",
	 "usual when secagreed stops"},
	{"XfrmOutPolError", "policies for what was sent could not be looked up",
	 "is memory short?"},
	{"XfrmFwdHdrError", "packets to forward could not be read",
	 "they have nothing to do with secagreed"},
	{"XfrmOutStateInvalid", "packets to a phone met an SA that was just going away",
	 "usual at the end of a set"},
	{"XfrmAcquireError", "an SA was wanted and nobody could be asked for it",
	 "an IKE daemon's business; secagreed is not asked"},
	{"XfrmOutStateDirError", "packets were to leave on an SA for arriving ones",
	 "another program gives its SAs a direction and mixes them up"},
	{"XfrmInStateDirError", "packets arrived on an SA for leaving ones",
	 "ESP of ours comes back to us: somebody reflects it, or routes go in a circle"},
	{"XfrmInIptfsError", "packets of IP-TFS could not be read",
	 "another program's: secagreed does not use it"},
	{"XfrmOutNoQueueSpace", "packets of IP-TFS found no room",
	 "another program's: secagreed does not use it"},
};

static void explain(const char *name, uint64_t count, void *arg)
{
	struct doctor *d = arg;

	if (!count)
		return;
	for (size_t i = 0; i < sizeof(MEANINGS) / sizeof(MEANINGS[0]); i++) {
		if (strcmp(MEANINGS[i].name, name) != 0)
			continue;
		doctor_find(d, DOCTOR_WARN, "%s %" PRIu64 ": %s", name, count, MEANINGS[i].meaning);
		doctor_advise(d, "%s", MEANINGS[i].advice);
		return;
	}
	doctor_find(d, DOCTOR_WARN, "%s %" PRIu64, name, count);
	doctor_advise(d,
		      "newer than this program: see networking/xfrm_proc in the kernel's manual");
}

void doctor_counters(struct doctor *d)
{
	const int r = xfrm_read_stat(explain, d);

	if (r == 0)
		return;
	doctor_find(d, DOCTOR_WARN, "%s: %s", XFRM_STAT, strerror(-r));
	doctor_advise(d, "boot a kernel with CONFIG_XFRM_STATISTICS, or nobody can say why "
			 "packets are dropped");
}
