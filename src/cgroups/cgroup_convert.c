/* Weights of cgroup v1 in terms of v2.
 *
 * cpu.shares 2..262144 (default 1024) and cpu.weight 1..10000 (default 100) are both relative to the siblings. The formula in use
 * by runtimes since 2025 maps both ends and the default onto each other:
 *   weight = ceil(10 ^ ((l*l + 125*l) / 612 - 7/34)), l = log2(shares)
 * Of all shares 1024 alone gives a whole number, but for the ends; no other comes nearer to one than 4e-10 of it. So the series
 * below are exact enough: libm's functions are 11 KB, mostly tables.
 */
#include "cgroups/cgroup_internal.h"

#define LN_2  0.69314718055994530942
#define LN_10 2.30258509299404568402

/* For x >= 1. */
static double log_2(double x)
{
	double whole = 0, sum = 0;

	while (x >= 2) {
		x /= 2;
		whole++;
	}
	double t = (x - 1) / (x + 1), power = t;

	for (int i = 1; i < 40; i += 2, power *= t * t)
		sum += power / i;
	return whole + 2 * sum / LN_2;
}

/* For 0 <= x <= 4. */
static double power_of_10(double x)
{
	double sum = 1, term = 1;

	for (int i = 1; i < 60; i++)
		sum += term *= x * LN_10 / i;
	return sum;
}

uint64_t cg_weight_of_shares(uint64_t shares)
{
	if (shares == 0)
		return 0;
	if (shares <= 2)
		return 1;
	if (shares >= 262144)
		return 10000;
	double l = log_2((double)shares), weight = power_of_10((l * l + 125 * l - 126) / 612);

	return 1 + (uint64_t)(weight * (1 - 1e-10)); /* rounded up, unless it is whole */
}

uint64_t cg_weight_of_blkio(uint64_t weight)
{
	if (weight == 0)
		return 0;
	return 1 + (weight - 10) * 9999 / 990;
}
