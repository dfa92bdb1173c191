#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Who may include whom: daemon/json/ knows nobody, proto/ and xfrm/ know neither each other nor
# daemon/, and only daemon/plan.c turns the words of the one into those of the other. secagree-ue, the
# second implementation, shares no code with xfrm/ and daemon/. Prints TAP.

cd "$(dirname "$0")/.." || exit 1
n=0

# check NAME FORBIDDEN-PREFIXES FILE...
check() {
	name=$1
	forbidden=$2
	shift 2
	n=$((n + 1))
	if found=$(grep -nE "^#include \"($forbidden)/" "$@"); then
		echo "not ok $n - $name"
		echo "$found" | sed 's/^/# /'
	else
		echo "ok $n - $name"
	fi
}

check "daemon/json/ includes nothing but itself" "xfrm|proto|daemon/[^j]|tests" daemon/json/*.[ch]
check "proto/ includes neither xfrm/ nor daemon/" "xfrm|daemon|tests" proto/*.[ch]
check "xfrm/ includes neither proto/ nor daemon/" "proto|daemon|tests" xfrm/*.[ch]
check "daemon/ includes nothing of tests/" "tests" daemon/*.[ch] daemon/ctl/*.[ch]
check "libsecagree includes daemon/json/ and nothing but itself" "xfrm|proto|tests|daemon/[^cj]" daemon/client/*.[ch]
check "secagree-ue includes neither xfrm/ nor daemon/" "xfrm|daemon" tests/ue/*.[ch]

n=$((n + 1))
if found=$(grep -nE '#include "xfrm/' daemon/*.[ch] daemon/ctl/*.[ch] | grep -v '"xfrm/xfrm.h"'); then
	echo "not ok $n - only xfrm.h is included from outside xfrm/"
	echo "$found" | sed 's/^/# /'
else
	echo "ok $n - only xfrm.h is included from outside xfrm/"
fi
echo "1..$n"
