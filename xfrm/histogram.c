/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Times, counted by the first bound that they do not exceed. A histogram is all zeros to begin
 * with, takes no memory of its own and is read by whoever wants to show it; adding one time costs
 * two readings of the clock and a look at a dozen numbers.
 *
 * Not here: quantiles. Whoever collects the counts computes them (histogram_quantile of Prometheus),
 * over the time and the machines that he likes.
 */
#include "xfrm/xfrm.h"

#include <time.h>

const uint64_t HISTOGRAM_BOUNDS_NS[HISTOGRAM_BOUNDS] = {
	25000,    50000,    100000,    250000,    500000,    1000000,    2500000,
	5000000,  10000000, 25000000,  100000000, 1000000000,
};

uint64_t histogram_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void histogram_add(struct histogram *histogram, uint64_t ns)
{
	size_t i = 0;

	while (i < HISTOGRAM_BOUNDS && ns > HISTOGRAM_BOUNDS_NS[i])
		i++;
	histogram->count[i]++;
	histogram->sum_ns += ns;
}

void histogram_add_since(struct histogram *histogram, uint64_t start_ns)
{
	histogram_add(histogram, histogram_clock_ns() - start_ns);
}
