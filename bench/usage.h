/*
 * What the server's processes use, read from /proc: only for a server on this machine. Workers are
 * named by GetStatus; the server is their parent. And what else the machine did meanwhile, which tells
 * how much a figure in wall time is worth.
 */
#ifndef KINDRED_USAGE_H
#define KINDRED_USAGE_H

#include "common/error.h"

#include <stdint.h>
#include <sys/types.h>

#define USAGE_MAX 65

struct usage {
	unsigned count; /* 0: the server is not on this machine, or did not answer */
	struct {
		char name[24]; /* "server", "worker/0" */
		pid_t pid;
		uint64_t cpu_ns; /* from usage_start to usage_stop */
		uint64_t start_bytes, stop_bytes, peak_bytes; /* resident: at both, and ever */
	} process[USAGE_MAX];
	uint64_t cpu_ns; /* of all of them */
	uint64_t start_bytes, stop_bytes, peak_bytes;
	uint64_t own_ns; /* of this process */
	/*
	 * shares of the machine's cores over that time, 0..1: what the hypervisor took, and what
	 * neither this process nor those above used
	 */
	double stolen, others;
	uint64_t start_ticks[3]; /* for usage_stop: all, idle, stolen */
};

/* E_INVALID: there is no such process, of which there would be nothing but zeros. */
int usage_check(pid_t pid, struct error *err);
/* pid not 0: that process alone, whatever it is. */
void usage_start(struct usage *usage, const char *target, pid_t pid);
/* Once after usage_start. */
void usage_stop(struct usage *usage);

#endif
