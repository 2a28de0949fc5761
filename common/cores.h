/*
 * Which of the cores a thread keeps to. While events are written, who answers keeps to one half and who
 * writes to the other: a commit holds its core inside the kernel, and a thread that waits behind it is
 * left to wait although another core is idle (seen in the scheduler's trace). The halves are by the
 * system's numbers of the cores, so that all processes mean the same ones.
 *
 * A new thread or process takes over what its maker keeps to, so whoever makes one while it may keep to
 * a half keeps to all of them first. Cores that a process is given while it runs (a cpuset that is
 * enlarged) are not used by threads that have kept to a half before.
 */
#ifndef KINDRED_CORES_H
#define KINDRED_CORES_H

enum cores {
	CORES_ALL, /* that the thread could use before it kept to a half */
	CORES_LOWER, /* half of them, rounded up */
	CORES_UPPER, /* the other half, rounded up: with an odd number the halves share a core */
};

/* For the calling thread. Cheap when it does so already. What the system refuses costs latency only. */
void cores_keep(enum cores cores);

/* How many the calling thread may use; at least 1. */
unsigned cores_count(void);

#endif
