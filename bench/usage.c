#include "bench/usage.h"

#include "common/rpc/client.h"
#include "kindred/v1/status.pb-c.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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

/* All, idle and stolen ticks of all cores since the machine's start. */
static void machine_ticks(uint64_t ticks[3])
{
	uint64_t user = 0, nice = 0, kernel = 0, idle = 0, waiting = 0, interrupts = 0, soft = 0, stolen = 0;
	FILE *file = fopen("/proc/stat", "r");
	if (file &&
	    fscanf(file,
		   "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
		   &user, &nice, &kernel, &idle, &waiting, &interrupts, &soft, &stolen) != 8)
		stolen = 0; /* an old kernel does not count it */
	if (file)
		fclose(file);
	ticks[0] = user + nice + kernel + idle + waiting + interrupts + soft + stolen;
	ticks[1] = idle + waiting;
	ticks[2] = stolen;
}

static uint64_t own_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static void add(struct usage *usage, const char *name, pid_t pid)
{
	if (usage->count == USAGE_MAX)
		return;
	snprintf(usage->process[usage->count].name, sizeof usage->process[0].name, "%s", name);
	usage->process[usage->count].pid = pid;
	usage->process[usage->count].cpu_ns = cpu_ns(pid);
	usage->process[usage->count].start_bytes = status_number(pid, "VmRSS:") * 1024;
	usage->start_bytes += usage->process[usage->count].start_bytes;
	usage->count++;
}

static void add_server(struct usage *usage, const char *target)
{
	Kindred__V1__GetStatusRequest request = KINDRED__V1__GET_STATUS_REQUEST__INIT;
	Kindred__V1__GetStatusResponse *status = NULL;
	struct rpc_client *client = NULL;
	if (rpc_open(&client, target, NULL) != 0)
		return;
	if (rpc_call(client, "/kindred.v1.StatusService/GetStatus", &request.base,
		     &kindred__v1__get_status_response__descriptor, 5000, NULL, &status, NULL) == 0) {
		if (status->n_workers > 0)
			add(usage, "server", (pid_t)status_number(status->workers[0]->pid, "PPid:"));
		for (size_t i = 0; i < status->n_front_ends; i++) {
			char name[24];
			snprintf(name, sizeof name, "front-end/%u", status->front_ends[i]->number % 1000);
			add(usage, name, status->front_ends[i]->pid);
		}
		for (size_t i = 0; i < status->n_workers; i++) {
			char name[24];
			snprintf(name, sizeof name, "worker/%u", (unsigned)(i % 1000));
			add(usage, name, status->workers[i]->pid);
		}
		kindred__v1__get_status_response__free_unpacked(status, NULL);
	}
	rpc_close(client);
}

int usage_check(pid_t pid, struct error *err)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/task", pid);
	if (access(path, F_OK) == 0)
		return 0;
	return error_set(err, E_INVALID,
			 "--pid %d: there is no such process on this machine; give the number of one that runs, or no "
			 "--pid for the server's own processes",
			 pid);
}

void usage_start(struct usage *usage, const char *target, pid_t pid)
{
	memset(usage, 0, sizeof *usage);
	if (pid)
		add(usage, "process", pid);
	else
		add_server(usage, target);
	machine_ticks(usage->start_ticks);
	usage->own_ns = own_ns();
}

void usage_stop(struct usage *usage)
{
	uint64_t ticks[3];
	machine_ticks(ticks);
	usage->own_ns = own_ns() - usage->own_ns;
	for (unsigned i = 0; i < usage->count; i++) {
		pid_t pid = usage->process[i].pid;
		uint64_t now_ns = cpu_ns(pid);
		uint64_t start_ns = usage->process[i].cpu_ns;
		/* a process that was killed meanwhile has no figure any more */
		usage->process[i].cpu_ns = now_ns > start_ns ? now_ns - start_ns : 0;
		usage->process[i].stop_bytes = status_number(pid, "VmRSS:") * 1024;
		usage->process[i].peak_bytes = status_number(pid, "VmHWM:") * 1024;
		usage->cpu_ns += usage->process[i].cpu_ns;
		usage->stop_bytes += usage->process[i].stop_bytes;
		usage->peak_bytes += usage->process[i].peak_bytes;
	}
	double all = (double)(ticks[0] - usage->start_ticks[0]);
	if (all <= 0)
		return;
	usage->stolen = (double)(ticks[2] - usage->start_ticks[2]) / all;
	double idle = (double)(ticks[1] - usage->start_ticks[1]) / all;
	double ours = (double)(usage->own_ns + usage->cpu_ns) / 1e9 * (double)sysconf(_SC_CLK_TCK) / all;
	usage->others = 1 - idle - usage->stolen - ours;
	if (usage->others < 0)
		usage->others = 0; /* ticks are coarse */
}
