/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The phone as a whole: what its parts share.
 */
#ifndef UE_UE_H
#define UE_UE_H

#include "tests/ue/call.h"
#include "tests/ue/dial.h"
#include "tests/ue/encap.h"
#include "tests/ue/reg.h"
#include "tests/ue/set.h"
#include "tests/ue/txn.h"

struct ue {
	struct ue_options options;
	struct net net;
	struct txn_table txns;
	struct sa_kernel kernel;
	struct set_table sets;
	struct encap encap;
	struct reg reg;
	struct call_table calls;
	struct dial dial;
	bool failed; /* for the exit status */
	bool no_agreement; /* and that was the reason */
	bool ever_registered;
	bool stopping; /* exit as soon as the registration is gone */
};

#endif
