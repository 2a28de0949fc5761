#include "bench/usage.h"

#include "common/rpc/client.h"
#include "kindred/v1/status.pb-c.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Threads' run time; threads that ended meanwhile are not in it (the server's pool keeps its threads). */
static uint64_t cpu_ns(pid_t pid)
{
	char path[400];
	uint64_t sum = 0;
	snprintf(path, sizeof path, "/proc/%d/task", pid);
	DIR *tasks = opendir(path);
	for (struct dirent *entry; tasks && (entry = readdir(tasks));) {
		uint64_t ns = 0;
		snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, entry->d_name);
		FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
		if (file && fscanf(file, "%" SCNu64, &ns) == 1)
			sum += ns;
		if (file)
			fclose(file);
	}
	if (tasks)
		closedir(tasks);
	return sum;
}

/* A number of /proc/PID/status, such as "PPid:" or "VmHWM:"; 0 when it is not there. */
static uint64_t status_number(pid_t pid, const char *field)
{
	char path[64], line[256];
	uint64_t value = 0;
	snprintf(path, sizeof path, "/proc/%d/status", pid);
	FILE *file = fopen(path, "r");
	while (file && fgets(line, sizeof line, file))
		if (strncmp(line, field, strlen(field)) == 0 && sscanf(line + strlen(field), "%" SCNu64, &value) == 1)
			break;
	if (file)
		fclose(file);
	return value;
}

static void add(struct usage *usage, const char *name, pid_t pid)
{
	if (usage->count == USAGE_MAX)
		return;
	snprintf(usage->process[usage->count].name, sizeof usage->process[0].name, "%s", name);
	usage->process[usage->count].pid = pid;
	usage->process[usage->count].cpu_ns = cpu_ns(pid);
	usage->count++;
}

void usage_start(struct usage *usage, const char *target, pid_t pid)
{
	Kindred__V1__GetStatusRequest request = KINDRED__V1__GET_STATUS_REQUEST__INIT;
	Kindred__V1__GetStatusResponse *status = NULL;
	struct rpc_client *client = NULL;
	memset(usage, 0, sizeof *usage);
	if (pid)
		add(usage, "process", pid);
	if (pid || rpc_open(&client, target, NULL) != 0)
		return;
	if (rpc_call(client, "/kindred.v1.StatusService/GetStatus", &request.base,
		     &kindred__v1__get_status_response__descriptor, 5000, NULL, &status, NULL) == 0) {
		if (status->n_workers > 0)
			add(usage, "server", (pid_t)status_number(status->workers[0]->pid, "PPid:"));
		for (size_t i = 0; i < status->n_workers; i++) {
			char name[24];
			snprintf(name, sizeof name, "worker/%u", (unsigned)(i % 1000));
			add(usage, name, status->workers[i]->pid);
		}
		kindred__v1__get_status_response__free_unpacked(status, NULL);
	}
	rpc_close(client);
}

void usage_stop(struct usage *usage)
{
	for (unsigned i = 0; i < usage->count; i++) {
		pid_t pid = usage->process[i].pid;
		uint64_t now_ns = cpu_ns(pid);
		uint64_t start_ns = usage->process[i].cpu_ns;
		/* a process that was killed meanwhile has no figure any more */
		usage->process[i].cpu_ns = now_ns > start_ns ? now_ns - start_ns : 0;
		usage->process[i].peak_bytes = status_number(pid, "VmHWM:") * 1024;
	}
}

uint64_t usage_own_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}
