#include "chance.h"

#include <math.h>

static uint64_t splitmix(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

void chance_init(struct chance *chance, uint64_t seed, uint64_t stream)
{
	uint64_t state = seed;

	state = splitmix(&state) ^ (stream * UINT64_C(0xd1342543de82ef95));
	for (int i = 0; i < 4; i++)
		chance->state[i] = splitmix(&state);
}

static uint64_t rotate(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

static uint64_t next(struct chance *chance)
{
	uint64_t *s = chance->state;
	uint64_t result = rotate(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate(s[3], 45);
	return result;
}

double chance_unit(struct chance *chance)
{
	return (double)(next(chance) >> 11) * 0x1.0p-53;
}

double chance_between(struct chance *chance, double low, double high)
{
	return low + (high - low) * chance_unit(chance);
}

bool chance_yes(struct chance *chance, double probability)
{
	return chance_unit(chance) < probability;
}

size_t chance_below(struct chance *chance, size_t n)
{
	return (size_t)(chance_unit(chance) * (double)n);
}

double chance_normal(struct chance *chance)
{
	double u = 1 - chance_unit(chance);
	double angle = 2 * M_PI * chance_unit(chance);

	return sqrt(-2 * log(u)) * cos(angle);
}

double chance_wait(struct chance *chance, double rate)
{
	return -log(1 - chance_unit(chance)) / rate;
}

size_t chance_pick(struct chance *chance, const double *weights, size_t n)
{
	double sum = 0, left;

	for (size_t i = 0; i < n; i++)
		sum += weights[i];
	if (sum <= 0)
		return n;
	left = chance_unit(chance) * sum;
	for (size_t i = 0; i < n; i++) {
		left -= weights[i];
		if (left < 0)
			return i;
	}
	for (size_t i = n; i-- > 0;)
		if (weights[i] > 0)
			return i;
	return n;
}
