#include "bench/chance.h"

#include <math.h>

uint64_t chance_mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

double chance_share(uint64_t mixed)
{
	return (double)(mixed >> 11) * 0x1.0p-53;
}

uint64_t chance_zipf(double u, uint64_t n, double s)
{
	double top = (double)n + 1;
	double x = fabs(s - 1) < 1e-9 ? pow(top, u) : pow(1 + u * (pow(top, 1 - s) - 1), 1 / (1 - s));
	uint64_t rank = (uint64_t)x - 1;
	return rank < n ? rank : n - 1;
}
