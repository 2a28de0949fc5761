#include "lib/cluster.h"

#include "common/clock.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ARGUMENTS_MAX 64
#define WAIT_SECONDS 180 /* sanitizers on a loaded machine are slow */

static char *read_file(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = NULL;
	size_t bytes = 0;
	if (!file)
		return strdup("");
	if (getdelim(&text, &bytes, '\0', file) < 0) {
		free(text);
		text = strdup("");
	}
	fclose(file);
	return text;
}

static void fail_with_log(struct cluster *cluster, const char *what)
{
	char path[256];
	snprintf(path, sizeof path, "%s/server.log", cluster->home);
	char *log = read_file(path);
	fprintf(stderr, "--- %s\n%s---\n", path, log);
	free(log);
	fail_msg("%s", what);
}

static const char *program_path(const char *program)
{
	static char path[512];
	if (strchr(program, '/'))
		return program;
	snprintf(path, sizeof path, "%s/%s", TEST_BIN, program);
	return path;
}

/* Forks and execs; out_fd and err_fd become its standard output and error. */
static pid_t spawn(const char *program, const char *address, const char *const *arguments, int out_fd, int err_fd)
{
	const char *argv[ARGUMENTS_MAX + 2] = { program };
	size_t count = 1;
	for (; *arguments && count <= ARGUMENTS_MAX; arguments++)
		argv[count++] = *arguments;
	const char *path = program_path(program);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that is killed leaves nothing running */
		if (address)
			setenv("KINDRED_SERVER", address, 1);
		int null = open("/dev/null", O_RDONLY);
		dup2(null, 0);
		dup2(out_fd, 1);
		dup2(err_fd, 2);
		execv(path, (char *const *)argv);
		dprintf(2, "cannot run %s: %s\n", path, strerror(errno));
		_exit(127);
	}
	assert_true(pid > 0);
	return pid;
}

/* A line of its status that is kilobytes. */
static long status_kb(pid_t pid, const char *name)
{
	char path[64], line[256];
	size_t length = strlen(name);
	long kb = 0;
	snprintf(path, sizeof path, "/proc/%d/status", pid);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof line, file))
		if (strncmp(line, name, length) == 0)
			kb = strtol(line + length, NULL, 10);
	fclose(file);
	return kb;
}

long process_resident_kb(pid_t pid)
{
	return status_kb(pid, "VmRSS:");
}

long process_peak_kb(pid_t pid)
{
	return status_kb(pid, "VmHWM:");
}

int process_wait(pid_t pid)
{
	int status = 0;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void cluster_init(struct cluster *cluster)
{
	memset(cluster, 0, sizeof *cluster);
	snprintf(cluster->home, sizeof cluster->home, "/tmp/kindred-test-XXXXXX");
	assert_non_null(mkdtemp(cluster->home));
	char data[192];
	snprintf(data, sizeof data, "%s/data", cluster->home);
	struct output made = program_run("kindred", NULL, CLI("init", data));
	if (made.code != 0)
		fail_msg("kindred init: %s", made.err);
	output_free(&made);
}

static void read_ports(struct cluster *cluster, const char *path)
{
	char *text = read_file(path);
	unsigned grpc = 0, admin = 0;
	if (sscanf(text, "grpc %u admin %u", &grpc, &admin) < 1)
		fail_with_log(cluster, "the port file has no port");
	free(text);
	snprintf(cluster->address, sizeof cluster->address, "127.0.0.1:%u", grpc);
	snprintf(cluster->admin, sizeof cluster->admin, "127.0.0.1:%u", admin);
}

/*
 * The port file is renamed or written into the watched home when the server serves; its death is looked
 * for meanwhile.
 */
static void wait_for_ports(struct cluster *cluster, int watch, const char *path)
{
	char events[4096];
	uint64_t end_ns = clock_monotonic_ns() + WAIT_SECONDS * UINT64_C(1000000000);
	struct pollfd poll_fd = { .fd = watch, .events = POLLIN };
	for (;;) {
		struct stat info;
		if (stat(path, &info) == 0 && info.st_size > 0)
			return read_ports(cluster, path);
		if (waitpid(cluster->server, NULL, WNOHANG) == cluster->server) {
			cluster->server = 0;
			fail_with_log(cluster, "the server ended while starting");
		}
		if (clock_monotonic_ns() > end_ns)
			fail_with_log(cluster, "the server does not come up");
		if (poll(&poll_fd, 1, 100) > 0 && read(watch, events, sizeof events) < 0)
			fail_msg("inotify: %s", strerror(errno));
	}
}

void cluster_start(struct cluster *cluster, const char *const *options)
{
	char data[192], ports[192], log_path[192];
	/* An option given later wins. */
	const char *arguments[ARGUMENTS_MAX] = {
		"--data",      data,          "--listen", "127.0.0.1:0",          "--admin-listen",
		"127.0.0.1:0", "--port-file", ports,      "--build-tune-seconds", "0"
	};
	size_t count = 10;
	snprintf(data, sizeof data, "%s/data", cluster->home);
	snprintf(ports, sizeof ports, "%s/ports", cluster->home);
	snprintf(log_path, sizeof log_path, "%s/server.log", cluster->home);
	while (options && *options && count < ARGUMENTS_MAX - 1)
		arguments[count++] = *options++;
	unlink(ports);
	int watch = inotify_init1(IN_CLOEXEC);
	inotify_add_watch(watch, cluster->home, IN_CLOSE_WRITE | IN_MOVED_TO);
	int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	cluster->server = spawn("kindred-server", NULL, arguments, log, log);
	close(log);
	wait_for_ports(cluster, watch, ports);
	close(watch);
}

int cluster_stop(struct cluster *cluster)
{
	if (!cluster->server)
		return 0;
	kill(cluster->server, SIGTERM);
	int code = process_wait(cluster->server);
	cluster->server = 0;
	return code;
}

/*
 * Workers of the cluster that still run, found by the shard files they hold a lock on being theirs:
 * their command line names no path, so look at their open files.
 */
static bool workers_gone(void *context)
{
	struct cluster *cluster = context;
	DIR *proc = opendir("/proc");
	bool gone = true;
	for (struct dirent *entry; gone && (entry = readdir(proc));) {
		char path[300], target[512];
		snprintf(path, sizeof path, "/proc/%s/fd", entry->d_name);
		DIR *files = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' ? opendir(path) : NULL;
		for (struct dirent *file; files && (file = readdir(files));) {
			char link[600];
			snprintf(link, sizeof link, "%s/%s", path, file->d_name);
			ssize_t bytes = readlink(link, target, sizeof target - 1);
			target[bytes > 0 ? bytes : 0] = '\0';
			if (strncmp(target, cluster->home, strlen(cluster->home)) == 0 && strstr(target, "/shards/"))
				gone = false;
		}
		if (files)
			closedir(files);
	}
	closedir(proc);
	return gone;
}

void cluster_kill(struct cluster *cluster)
{
	kill(cluster->server, SIGKILL);
	process_wait(cluster->server);
	cluster->server = 0;
	wait_until("the workers of a killed server end", workers_gone, cluster);
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
	(void)info;
	(void)kind;
	(void)walk;
	return remove(path);
}

/* A sanitizer's report of any of the processes, whose standard error is the log, fails the test that made it. */
static void check_log(struct cluster *cluster)
{
	char path[256];
	snprintf(path, sizeof path, "%s/server.log", cluster->home);
	char *log = read_file(path);
	bool reported = strstr(log, "Sanitizer") || strstr(log, "runtime error:");
	free(log);
	if (reported)
		fail_with_log(cluster, "a sanitizer has something to say");
}

void cluster_fini(struct cluster *cluster)
{
	int code = cluster_stop(cluster);
	check_log(cluster);
	if (code != 0)
		fail_with_log(cluster, "the server did not end as it should");
	if (getenv("KEEP"))
		fprintf(stderr, "kept: %s\n", cluster->home);
	else
		nftw(cluster->home, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

uint64_t cluster_metric(const struct cluster *cluster, const char *name)
{
	char url[128], line[80];
	snprintf(url, sizeof url, "http://%s/metrics", cluster->admin);
	struct output page = program_run("/usr/bin/curl", NULL, CLI("-sf", url));
	snprintf(line, sizeof line, "\n%s ", name);
	const char *at = page.code == 0 ? strstr(page.out, line) : NULL;
	if (!at)
		fail_msg("no metric %s", name);
	uint64_t value = strtoull(at + strlen(line), NULL, 10);
	output_free(&page);
	return value;
}

int address_connect(const char *address)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	to.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	return fd;
}

const char *cluster_file(const struct cluster *cluster, const char *name, const char *text)
{
	static char path[256];
	snprintf(path, sizeof path, "%s/%s", cluster->home, name);
	FILE *out = fopen(path, "w");
	assert_non_null(out);
	fputs(text, out);
	assert_int_equal(fclose(out), 0);
	return path;
}

void output_free(struct output *output)
{
	free(output->out);
	free(output->err);
}

struct output program_run(const char *program, const char *address, const char *const *arguments)
{
	char out_path[] = "/tmp/kindred-out-XXXXXX", err_path[] = "/tmp/kindred-err-XXXXXX";
	int out = mkostemp(out_path, O_CLOEXEC), err = mkostemp(err_path, O_CLOEXEC);
	assert_true(out >= 0 && err >= 0);
	pid_t pid = spawn(program, address, arguments, out, err);
	struct output output = { .code = process_wait(pid) };
	output.out = read_file(out_path);
	output.err = read_file(err_path);
	close(out);
	close(err);
	unlink(out_path);
	unlink(err_path);
	return output;
}

struct output cluster_run(struct cluster *cluster, const char *const *arguments)
{
	return program_run("kindred", cluster->address, arguments);
}

pid_t cluster_spawn(struct cluster *cluster, const char *name, const char *const *arguments)
{
	char path[192];
	snprintf(path, sizeof path, "%s/%s.log", cluster->home, name);
	int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	pid_t pid = spawn("kindred", cluster->address, arguments, log, log);
	close(log);
	return pid;
}

static void say_command(const char *const *arguments)
{
	fprintf(stderr, "kindred");
	for (; *arguments; arguments++)
		fprintf(stderr, " %s", *arguments);
	fprintf(stderr, "\n");
}

json_t *cluster_json(struct cluster *cluster, const char *const *arguments)
{
	struct output output = cluster_run(cluster, arguments);
	json_error_t error;
	json_t *json = output.code == 0 ? json_loads(output.out, 0, &error) : NULL;
	if (!json) {
		say_command(arguments);
		fprintf(stderr, "exit code %d\n%s%s\n", output.code, output.out, output.err);
		fail_with_log(cluster, output.code ? "the command failed" : "the command printed no JSON");
	}
	output_free(&output);
	return json;
}

void cluster_ok(struct cluster *cluster, const char *const *arguments)
{
	struct output output = cluster_run(cluster, arguments);
	if (output.code != 0) {
		say_command(arguments);
		fprintf(stderr, "exit code %d\n%s%s\n", output.code, output.out, output.err);
		fail_with_log(cluster, "the command failed");
	}
	output_free(&output);
}

void cluster_fails(struct cluster *cluster, const char *text, const char *const *arguments)
{
	struct output output = cluster_run(cluster, arguments);
	if (output.code == 0 || !strstr(output.err, text)) {
		say_command(arguments);
		fprintf(stderr, "exit code %d\n%s%s\nwanted: an error that says \"%s\"\n", output.code, output.out,
			output.err, text);
		fail_with_log(cluster, "the command did not fail as it should");
	}
	output_free(&output);
}

void wait_until(const char *what, bool (*condition)(void *context), void *context)
{
	uint64_t end_ns = clock_monotonic_ns() + WAIT_SECONDS * UINT64_C(1000000000);
	while (!condition(context)) {
		if (clock_monotonic_ns() > end_ns)
			fail_msg("waited %d s in vain until: %s", WAIT_SECONDS, what);
		struct timespec nap = { .tv_nsec = 10000000 };
		nanosleep(&nap, NULL);
	}
}

const char *sample_path(const char *name)
{
	static char path[512];
	snprintf(path, sizeof path, "%s/tests/sample/%s", TEST_SOURCE, name);
	return path;
}

const char *real_data_path(const char *name)
{
	static char path[512];
	const char *folder = getenv("KINDRED_REAL_DATA");
	if (folder)
		snprintf(path, sizeof path, "%s/%s", folder, name);
	else
		snprintf(path, sizeof path, "%s/../shared/data/%s", TEST_SOURCE, name);
	return access(path, R_OK) == 0 ? path : NULL;
}
