/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The counters of the kernel's XFRM, of all programs of this network namespace together, since it was
 * made: a file of lines with a name and a number (networking/xfrm_proc in the kernel's manual). No
 * netlink; it is read anew each time, and what the counters mean is left to who asks. Which there
 * are depends on the kernel: a name is not known beforehand.
 */
#include "xfrm/xfrm.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

int xfrm_read_stat(void (*each)(const char *name, uint64_t count, void *arg), void *arg)
{
	FILE *file = fopen(XFRM_STAT, "re");
	char line[256], name[64];
	uint64_t count;

	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%63[A-Za-z0-9] %" SCNu64, name, &count) == 2)
			each(name, count, arg);
	}
	fclose(file);
	return 0;
}
