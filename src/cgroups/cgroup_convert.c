/* Weights of cgroup v1 in terms of v2.
 *
 * cpu.shares 2..262144 (default 1024) and cpu.weight 1..10000 (default 100) are both relative to the siblings. The formula in use
 * by runtimes since 2025 maps both ends and the default onto each other:
 *   weight = ceil(10 ^ ((l*l + 125*l) / 612 - 7/34)), l = log2(shares)
 * With 7/34 as 126/612 the three fixed points are exact in floating point, and ceil() cannot overshoot there.
 */
#include "cgroups/cgroup_internal.h"

#include <math.h>

uint64_t cg_weight_of_shares(uint64_t shares)
{
	if (shares == 0)
		return 0;
	if (shares <= 2)
		return 1;
	if (shares >= 262144)
		return 10000;
	double l = log2((double)shares);

	return (uint64_t)ceil(pow(10, (l * l + 125 * l - 126) / 612));
}

uint64_t cg_weight_of_blkio(uint64_t weight)
{
	if (weight == 0)
		return 0;
	return 1 + (weight - 10) * 9999 / 990;
}
