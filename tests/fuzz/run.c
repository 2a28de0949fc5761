/*
 * Stands in for libFuzzer where there is no clang: runs a fuzz target on every file of the directories
 * and files given, as it is and with MUTATIONS random changes. Always the same ones, so that a failure
 * can be repeated. It finds less than the real thing (preset fuzz; see README.md), but runs with every
 * ctest, also under the sanitizers.
 *
 * A failure is a crash of this process: what was run last is then in NAME.crash in the working directory.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MUTATIONS 400
#define BYTES_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
__attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)(void));
__attribute__((weak)) int LLVMFuzzerInitialize(int *count, char ***arguments);

static uint8_t *volatile running; /* a block of just its size, so that a sanitizer sees reads past the end */
static volatile size_t running_bytes;
static char crash_path[256];
static uint64_t random_state = 1;
static unsigned runs;

/* xorshift64*: https://www.jstatsoft.org/article/view/v008i14 */
static uint32_t roll(uint32_t sides)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (uint32_t)((random_state * UINT64_C(2685821657736338717)) >> 32) % sides;
}

static const int signals[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE };
static struct sigaction before[sizeof signals / sizeof *signals]; /* a sanitizer's, which reports */

static void keep_running(void)
{
	int file = open(crash_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (file >= 0) {
		ssize_t written = write(file, running, running_bytes);
		(void)written;
		close(file);
	}
}

static void on_crash(int number)
{
	keep_running();
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		if (signals[i] == number)
			sigaction(number, &before[i], NULL);
	raise(number);
}

static void run(const uint8_t *data, size_t bytes)
{
	running = malloc(bytes ? bytes : 1);
	if (!running)
		exit(1);
	memcpy(running, data, bytes);
	running_bytes = bytes;
	LLVMFuzzerTestOneInput(running, bytes);
	free(running);
	running = NULL;
	running_bytes = 0;
	runs++;
}

static void set_bytes(uint8_t *data, size_t bytes)
{
	static const uint8_t odd[] = { 0, 1, 0x7f, 0x80, 0xff, ' ', '"', '\n', '-', '(' };
	size_t at = roll((uint32_t)bytes), count = 1 + roll(4);
	uint8_t to = roll(2) ? odd[roll(sizeof odd)] : (uint8_t)roll(256);
	for (; count && at < bytes; count--)
		data[at++] = to;
}

static size_t cut(uint8_t *data, size_t bytes)
{
	size_t at = roll((uint32_t)bytes), count = 1 + roll(8);
	if (count > bytes - at)
		count = bytes - at;
	memmove(data + at, data + at + count, bytes - at - count);
	return bytes - count;
}

/* Puts a piece of the data itself in at some place. */
static size_t repeat(uint8_t *data, size_t bytes)
{
	uint8_t piece[16];
	size_t from = roll((uint32_t)bytes), to = roll((uint32_t)bytes + 1), count = 1 + roll(sizeof piece);
	if (count > bytes - from)
		count = bytes - from;
	if (bytes + count > BYTES_MAX)
		return bytes;
	memcpy(piece, data + from, count);
	memmove(data + to + count, data + to, bytes - to);
	memcpy(data + to, piece, count);
	return bytes + count;
}

static void run_mutations(const uint8_t *data, size_t bytes)
{
	static uint8_t changed[BYTES_MAX];
	if (bytes == 0 || bytes > BYTES_MAX)
		return;
	for (unsigned i = 0; i < MUTATIONS; i++) {
		size_t now = bytes;
		memcpy(changed, data, bytes);
		for (uint32_t changes = 1 + roll(4); changes && now; changes--) {
			switch (roll(5)) {
			case 0:
				changed[roll((uint32_t)now)] ^= (uint8_t)(1u << roll(8));
				break;
			case 1:
				set_bytes(changed, now);
				break;
			case 2:
				now = cut(changed, now);
				break;
			case 3:
				now = repeat(changed, now);
				break;
			default:
				now = 1 + roll((uint32_t)now);
				break;
			}
		}
		run(changed, now);
	}
}

static void run_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = malloc(BYTES_MAX + 1);
	if (!file || !data) {
		perror(path);
		exit(1);
	}
	size_t bytes = fread(data, 1, BYTES_MAX, file);
	fclose(file);
	run(data, bytes);
	run_mutations(data, bytes);
	free(data);
}

/* Files in the order of their names, so that a run can be repeated. */
static void run_path(const char *path)
{
	struct stat about;
	if (stat(path, &about) == 0 && !S_ISDIR(about.st_mode)) {
		run_file(path);
		return;
	}
	struct dirent **entries;
	int count = scandir(path, &entries, NULL, alphasort);
	if (count < 0) {
		perror(path);
		exit(1);
	}
	for (int i = 0; i < count; i++) {
		char file[4096];
		snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.')
			run_file(file);
		free(entries[i]);
	}
	free(entries);
}

int main(int count, char **arguments)
{
	const char *name = strrchr(arguments[0], '/');
	snprintf(crash_path, sizeof crash_path, "%s.crash", name ? name + 1 : arguments[0]);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		sigaction(signals[i], &(struct sigaction){ .sa_handler = on_crash }, &before[i]);
	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(keep_running);
	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&count, &arguments);
	for (int i = 1; i < count; i++)
		run_path(arguments[i]);
	if (!runs) {
		fprintf(stderr, "%s: nothing to run; give files or directories of them\n", arguments[0]);
		return 1;
	}
	printf("%u runs\n", runs);
	return 0;
}
