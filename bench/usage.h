/*
 * What the server's processes use, read from /proc: only for a server on this machine. Workers are named by GetStatus; the
 * server is their parent.
 */
#ifndef KINDRED_USAGE_H
#define KINDRED_USAGE_H

#include <stdint.h>
#include <sys/types.h>

#define USAGE_MAX 65

struct usage {
	unsigned count; /* 0: the server is not on this machine, or did not answer */
	struct {
		char name[24]; /* "server", "worker/0" */
		pid_t pid;
		uint64_t cpu_ns; /* from usage_start to usage_stop */
		uint64_t peak_bytes; /* resident, ever */
	} process[USAGE_MAX];
};

/* pid not 0: that process alone, whatever it is. */
void usage_start(struct usage *usage, const char *target, pid_t pid);
void usage_stop(struct usage *usage);
/* CPU time of this process so far. */
uint64_t usage_own_ns(void);

#endif
