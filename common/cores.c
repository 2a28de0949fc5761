#include "common/cores.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>

static pthread_once_t noted = PTHREAD_ONCE_INIT;
static cpu_set_t all;
static int all_count; /* 0: not known */

/* Nobody has kept to a half yet. */
static void note_all(void)
{
	if (sched_getaffinity(0, sizeof all, &all) == 0)
		all_count = CPU_COUNT(&all);
}

/* Those of all with numbers from..to among them, to excluded. */
static cpu_set_t part(int from, int to)
{
	cpu_set_t cores;
	int number = 0;
	CPU_ZERO(&cores);
	for (int core = 0; core < CPU_SETSIZE; core++) {
		if (!CPU_ISSET(core, &all))
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
	cpu_set_t set;
	if (cores == kept)
		return;
	pthread_once(&noted, note_all);
	if (all_count < 2)
		return;
	kept = cores;
	set = part(cores == CORES_UPPER ? all_count / 2 : 0, cores == CORES_LOWER ? all_count - all_count / 2 : all_count);
	(void)sched_setaffinity(0, sizeof set, &set);
}
