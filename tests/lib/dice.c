#include "lib/dice.h"

/* xorshift64, https://www.jstatsoft.org/article/view/v008i14 */
uint32_t chance(uint32_t below)
{
	static uint64_t state = 88172645463325252u;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 32) % below;
}
