/*
 * Which of the cores a thread keeps to. While events are written, who answers keeps to one half and who writes to the other: a commit holds its core inside
 * the kernel, and a thread that waits behind it is left to wait although another core is idle (seen in the scheduler's trace).
 *
 * A new thread or process takes over what its maker keeps to, so whoever makes one while it may keep to a half keeps to all of them first.
 */
#ifndef KINDRED_CORES_H
#define KINDRED_CORES_H

enum cores {
	CORES_ALL, /* that the process could use when a thread of it first kept to a half */
	CORES_LOWER, /* half of them, rounded up */
	CORES_UPPER, /* the other half, rounded up: with an odd number the halves share a core */
};

/* For the calling thread. Cheap when it does so already. What the system refuses costs latency only. */
void cores_keep(enum cores cores);

#endif
