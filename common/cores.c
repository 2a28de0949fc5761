#include "common/cores.h"

#include <sched.h>
#include <unistd.h>

/* Those of all with numbers from..to among them, to excluded. */
static cpu_set_t part(const cpu_set_t *all, int from, int to)
{
	cpu_set_t cores;
	int number = 0;
	CPU_ZERO(&cores);
	for (int core = 0; core < CPU_SETSIZE; core++) {
		if (!CPU_ISSET(core, all))
			continue;
		if (number >= from && number < to)
			CPU_SET(core, &cores);
		number++;
	}
	return cores;
}

void cores_keep(enum cores cores)
{
	static _Thread_local enum cores kept;
	static _Thread_local cpu_set_t all;
	cpu_set_t set;
	int count;
	if (cores == kept || (kept == CORES_ALL && sched_getaffinity(0, sizeof all, &all)))
		return;
	count = CPU_COUNT(&all);
	if (count < 2)
		return;
	set = part(&all, cores == CORES_UPPER ? count / 2 : 0, cores == CORES_LOWER ? count - count / 2 : count);
	if (sched_setaffinity(0, sizeof set, &set) == 0)
		kept = cores;
}

unsigned cores_count(void)
{
	cpu_set_t cores;
	long count = sched_getaffinity(0, sizeof cores, &cores) ? sysconf(_SC_NPROCESSORS_ONLN) : CPU_COUNT(&cores);
	return count > 1 ? (unsigned)count : 1;
}
