/*
 * kindred-flush: what one disk flush takes on a file system, to hold the acknowledgement of a lone
 * event against: write 4 KiB over the same place of a file that is there already, fdatasync, again and
 * again.
 */
#include "bench/argument.h"
#include "bench/histogram.h"
#include "version.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 4096

struct options {
	const char *directory;
	double seconds;
};

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* Returns 0 or an errno. */
static int measure(int fd, double seconds, struct histogram *latency)
{
	static char block[BLOCK];
	uint64_t stop_ns = now_ns() + (uint64_t)(seconds * 1e9), start_ns;
	while ((start_ns = now_ns()) < stop_ns) {
		block[0]++;
		if (pwrite(fd, block, BLOCK, 0) != BLOCK || fdatasync(fd) != 0)
			return errno;
		histogram_add(latency, now_ns() - start_ns);
	}
	return 0;
}

static error_t on_option(int key, char *text, struct argp_state *state)
{
	struct options *options = state->input;
	switch (key) {
	case 't':
		options->seconds = argument_real(text);
		if (!(options->seconds > 0 && options->seconds <= 3600))
			argp_error(state, "--seconds %s: more than 0 and at most 3600 is allowed", text);
		return 0;
	case ARGP_KEY_ARG:
		if (options->directory)
			argp_error(state, "'%s': one directory is enough", text);
		options->directory = text;
		return 0;
	case ARGP_KEY_END:
		if (!options->directory)
			argp_error(state, "say in which directory");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const char *argp_program_version = "kindred-flush " KINDRED_VERSION " (" KINDRED_REVISION ")";

int main(int argc, char **argv)
{
	static const char doc[] = "Measures what writing 4 KiB and flushing it to disk takes.\v"
				  "Example:\n"
				  "  kindred-flush ./data --seconds 2";
	static const struct argp_option table[] = { { "seconds", 't', "S", 0, "How long (2)", 0 }, { 0 } };
	static const struct argp argp = { table, on_option, "DIRECTORY", doc, NULL, NULL, NULL };
	static struct histogram latency;
	struct options options = { .seconds = 2 };
	char path[4096];
	argp_err_exit_status = 64; /* EX_USAGE */
	argp_parse(&argp, argc, argv, 0, NULL, &options);
	snprintf(path, sizeof path, "%s/.kindred-flush-XXXXXX", options.directory);
	int fd = mkstemp(path);
	int code = fd < 0 ? errno : measure(fd, options.seconds, &latency);
	if (fd >= 0) {
		unlink(path);
		close(fd);
	}
	if (code) {
		fprintf(stderr, "kindred-flush: %s: %s\n", options.directory, strerror(code));
		return 74; /* EX_IOERR */
	}
	printf("{\"flushes_per_s\":%.0f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f}\n",
	       (double)latency.total / options.seconds, (double)histogram_percentile(&latency, 0.5) / 1e6,
	       (double)histogram_percentile(&latency, 0.99) / 1e6, (double)latency.max_ns / 1e6);
	return 0;
}
