#include "common/slice.h"

#include <linux/sched.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SHORT_NS 100000u /* the least that the kernel takes */

/* sched_setattr(2); libc of Debian 12 has no name for it. */
struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns, deadline_ns, period_ns;
};
_Static_assert(sizeof(struct attributes) == 48, "SCHED_ATTR_SIZE_VER0");

bool slice_take(enum slice slice)
{
	struct attributes attributes = { .size = sizeof attributes,
					 .policy = slice == SLICE_BATCH ? SCHED_BATCH : SCHED_NORMAL,
					 .flags = SCHED_FLAG_RESET_ON_FORK,
					 .nice = getpriority(PRIO_PROCESS, 0),
					 .runtime_ns = slice == SLICE_SHORT ? SHORT_NS : 0 };
	return syscall(SYS_sched_setattr, 0, &attributes, 0) == 0;
}
