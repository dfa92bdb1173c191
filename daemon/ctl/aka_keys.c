/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CK and IK from a stream, for `offer` and `keys`: two lines, "ck=HEX" and "ik=HEX", in any order.
 * Empty lines and white space at the end of a line are passed over; nothing else is.
 *
 * A key never stands on the command line, in an error or in a buffer that outlives its use. What is
 * wrong is said by the number of the line alone.
 */
#include <errno.h>
#include <string.h>

#include "daemon/ctl/ctl.h"

#define AKA_KEYS_MAX_BYTES 1024

void aka_keys_wipe(struct aka_keys *keys)
{
	explicit_bzero(keys, sizeof(*keys));
}

static struct span trim_end(struct span s)
{
	while (s.n && (text_is_wsp((unsigned char)s.p[s.n - 1]) || s.p[s.n - 1] == '\r'))
		s.n--;
	return s;
}

/* Bits in what has been read. */
#define HAVE_CK 0x1U
#define HAVE_IK 0x2U

static int take_line(struct span line, size_t number, struct aka_keys *keys, unsigned *have,
		     char *ret_why, size_t why_cap)
{
	bool is_ck = line.n >= 3 && memcmp(line.p, "ck=", 3) == 0;
	bool is_ik = line.n >= 3 && memcmp(line.p, "ik=", 3) == 0;
	unsigned bit = is_ck ? HAVE_CK : HAVE_IK;
	const char *what = NULL;

	if (!is_ck && !is_ik)
		what = "neither ck= nor ik=";
	else if (*have & bit)
		what = is_ck ? "a second ck=" : "a second ik=";
	else if (text_from_hex((struct span){line.p + 3, line.n - 3}, is_ck ? keys->ck : keys->ik,
			       KEYMAT_AKA_BYTES) < 0)
		what = "not 32 hexadecimal digits after the equals sign";
	if (what) {
		snprintf(ret_why, why_cap, "line %zu: %s", number, what);
		return -EINVAL;
	}
	*have |= bit;
	return 0;
}

static int take_lines(struct span text, struct aka_keys *keys, char *ret_why, size_t why_cap)
{
	unsigned have = 0;

	for (size_t number = 1; text.n; number++) {
		const char *end = memchr(text.p, '\n', text.n);
		size_t n = end ? (size_t)(end - text.p) : text.n;
		struct span line = trim_end((struct span){text.p, n});

		if (line.n && take_line(line, number, keys, &have, ret_why, why_cap) < 0)
			return -EINVAL;
		n += end ? 1 : 0;
		text.p += n;
		text.n -= n;
	}
	if (have != (HAVE_CK | HAVE_IK)) {
		snprintf(ret_why, why_cap, "no line %s; both keys are needed",
			 have & HAVE_CK ? "ik=HEX" : "ck=HEX");
		return -EINVAL;
	}
	return 0;
}

int aka_keys_read(int fd, struct aka_keys *ret, char *ret_why, size_t why_cap)
{
	struct aka_keys keys = {0};
	char buf[AKA_KEYS_MAX_BYTES];
	struct span text = {buf, 0};
	int r;

	r = input_read(fd, buf, sizeof(buf), &text.n);
	if (r == -E2BIG) {
		snprintf(ret_why, why_cap, "more than %d bytes", AKA_KEYS_MAX_BYTES);
		r = -EINVAL;
	} else if (r < 0) {
		snprintf(ret_why, why_cap, "%s", strerror(-r));
	} else {
		r = take_lines(text, &keys, ret_why, why_cap);
	}
	if (r == 0)
		*ret = keys;
	aka_keys_wipe(&keys);
	explicit_bzero(buf, sizeof(buf));
	return r;
}
