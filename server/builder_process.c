#include "server/builder_process.h"

#include "common/cores.h"
#include "common/log.h"
#include "server/server.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LINE_MAX_BYTES 65536
#define NICE 10
/* linux/ioprio.h: class idle, for a process */
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_IDLE (3 << 13)

/* --- the end --- */

static void check_over(struct builder_process *builder)
{
	if (builder->process_gone && builder->output_gone)
		builder->over(builder->context);
}

static void on_process_closed(uv_handle_t *handle)
{
	struct builder_process *builder = handle->data;

	builder->process_gone = true;
	check_over(builder);
}

static void on_process_exit(uv_process_t *process, int64_t status, int signal)
{
	struct builder_process *builder = process->data;

	builder->exit_status = status;
	builder->exit_signal = signal;
	uv_close((uv_handle_t *)process, on_process_closed);
}

static void on_output_closed(uv_handle_t *handle)
{
	struct builder_process *builder = handle->data;

	builder->output_gone = true;
	check_over(builder);
}

int builder_process_failed(struct builder_process *builder, struct error *err)
{
	if (!builder->err.code && !builder->exit_status && !builder->exit_signal && builder->said_done)
		return 0;
	if (builder->err.code)
		*err = builder->err;
	else if (builder->exit_signal)
		error_set(err, E_ABORTED, "the builder was killed by signal %d (%s)", builder->exit_signal,
			  strsignal(builder->exit_signal));
	else
		error_set(err, E_INTERNAL, "the builder exited with code %" PRId64 "; its own words are in the log",
			  builder->exit_status);
	return err->code;
}

void builder_process_kill(struct builder_process *builder)
{
	if (!builder->process_gone && uv_is_active((uv_handle_t *)&builder->process))
		uv_process_kill(&builder->process, SIGKILL);
}

void builder_process_fini(struct builder_process *builder)
{
	buffer_fini(&builder->line);
	json_decref(builder->unchanged);
}

/* --- what it says --- */

/* status: of gRPC; one that says nothing of the kind is that of a build that broke off. */
static void take_reason(struct builder_process *builder, const char *text, json_int_t status)
{
	int code = status > 0 && status <= INT_MAX ? error_from_grpc_status((int)status) : E_ABORTED;

	error_set(&builder->err, code, "%s", text);
}

static void take_line(struct builder_process *builder, const char *line, size_t bytes)
{
	json_error_t json_err;
	json_t *json = json_loadb(line, bytes, 0, &json_err), *unchanged;
	const char *text;

	if (!json_is_object(json)) {
		log_warning("builds: the builder said what is no JSON: %.*s", (int)(bytes < 200 ? bytes : 200), line);
		json_decref(json);
		return;
	}
	text = json_string_value(json_object_get(json, "note"));
	if (text)
		snprintf(builder->phase, sizeof builder->phase, "%s", text);
	if (json_is_number(json_object_get(json, "progress")))
		builder->progress = json_number_value(json_object_get(json, "progress"));
	text = json_string_value(json_object_get(json, "error"));
	if (text)
		take_reason(builder, text, json_integer_value(json_object_get(json, "code")));
	text = json_string_value(json_object_get(json, "worse"));
	if (text)
		snprintf(builder->worse, sizeof builder->worse, "%s", text);
	unchanged = json_object_get(json, "unchanged");
	if (unchanged && !builder->unchanged)
		builder->unchanged = json_array();
	if (unchanged)
		json_array_append(builder->unchanged, unchanged);
	if (json_is_true(json_object_get(json, "done")))
		builder->said_done = true;
	json_decref(json);
}

static void take_lines(struct builder_process *builder)
{
	char *from = (char *)builder->line.data, *end = from + builder->line.bytes, *newline;

	while ((newline = memchr(from, '\n', (size_t)(end - from)))) {
		if (newline > from)
			take_line(builder, from, (size_t)(newline - from));
		from = newline + 1;
	}
	builder->line.bytes = (size_t)(end - from);
	memmove(builder->line.data, from, builder->line.bytes);
	if (builder->line.bytes > LINE_MAX_BYTES)
		builder->line.bytes = 0;
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *room)
{
	static char space[4096];

	(void)handle;
	(void)suggested;
	*room = uv_buf_init(space, sizeof space);
}

static void on_output(uv_stream_t *stream, ssize_t nread, const uv_buf_t *room)
{
	struct builder_process *builder = stream->data;

	if (nread < 0) {
		uv_close((uv_handle_t *)stream, on_output_closed);
		return;
	}
	if (nread > 0 && !buffer_add(&builder->line, room->base, (size_t)nread))
		take_lines(builder);
}

/* --- the start --- */

#define ARGUMENTS_MAX 20
#define NUMBER_MAX 24

/* The command line: fixed words, and numbers written here. */
struct arguments {
	char path[DATADIR_PATH_MAX + 32];
	char *words[ARGUMENTS_MAX];
	char numbers[5][NUMBER_MAX];
	unsigned count, number_count;
};

static void add(struct arguments *arguments, const char *word)
{
	arguments->words[arguments->count++] = (char *)word;
	arguments->words[arguments->count] = NULL;
}

static void add_number(struct arguments *arguments, const char *option, int64_t number)
{
	char *text = arguments->numbers[arguments->number_count++];

	snprintf(text, NUMBER_MAX, "%" PRId64, number);
	add(arguments, option);
	add(arguments, text);
}

static void make_arguments(struct arguments *arguments, struct server *server, uint64_t number,
			   const struct builds_request *request)
{
	const struct config *config = &server->config;

	arguments->count = arguments->number_count = 0;
	snprintf(arguments->path, sizeof arguments->path, "%s/kindred-builder", server->program_directory);
	add(arguments, arguments->path);
	add(arguments, "--data");
	add(arguments, server->dir.path);
	add_number(arguments, "--generation", (int64_t)number);
	add_number(arguments, "--memory-mb", config->build_memory_mb);
	add_number(arguments, "--threads", config->build_threads);
	add_number(arguments, "--tune-seconds",
		   request->tune_seconds ? (int64_t)request->tune_seconds : config->build_tune_seconds);
	if (request->refresh)
		add(arguments, "--refresh");
	else if (!strcmp(config->gate, "off"))
		add(arguments, "--no-gate");
	if (request->tune_seconds)
		add(arguments, "--tune-whole");
	if (request->no_reuse)
		add(arguments, "--no-reuse");
	if (request->objective) {
		add(arguments, "--objective");
		add(arguments, request->objective);
	}
	if (request->coverage_floor_permille) {
		char *floor = arguments->numbers[arguments->number_count++];

		snprintf(floor, NUMBER_MAX, "%g", request->coverage_floor_permille / 1000.0);
		add(arguments, "--coverage-floor");
		add(arguments, floor);
	}
}

int builder_process_start(struct builder_process *builder, struct server *server, uint64_t number,
			  const struct builds_request *request, void (*over)(void *context), void *context,
			  struct error *err)
{
	struct arguments arguments;
	uv_stdio_container_t stdio[] = {
		{ .flags = UV_IGNORE },
		{ .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&builder->output },
		{ .flags = UV_INHERIT_FD, .data.fd = 2 },
	};
	uv_process_options_t options = {
		.exit_cb = on_process_exit,
		.file = arguments.path,
		.args = arguments.words,
		.stdio_count = 3,
		.stdio = stdio,
		.flags = UV_PROCESS_DETACHED,
	};
	struct buffer line = builder->line;
	int rc;

	json_decref(builder->unchanged);
	*builder = (struct builder_process){ .server = server, .line = line, .over = over, .context = context };
	builder->line.bytes = 0;
	make_arguments(&arguments, server, number, request);
	uv_pipe_init(&server->loop, &builder->output, 0);
	builder->process.data = builder->output.data = builder;
	cores_keep(CORES_ALL);
	rc = uv_spawn(&server->loop, &builder->process, &options);
	if (rc) {
		log_error("builds: cannot start %s: %s", arguments.path, uv_strerror(rc));
		error_set(&builder->err, E_UNAVAILABLE, "cannot start the builder: %s; the log has its path",
			  uv_strerror(rc));
		uv_close((uv_handle_t *)&builder->process, on_process_closed);
		uv_close((uv_handle_t *)&builder->output, on_output_closed);
		*err = builder->err;
		return err->code;
	}
	/* Threads it makes inherit both. Not being allowed to is no reason not to build. */
	if (setpriority(PRIO_PROCESS, (id_t)builder->process.pid, NICE) ||
	    syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, builder->process.pid, IOPRIO_IDLE))
		log_debug("builds: cannot lower the builder's priority: %s", strerror(errno));
	uv_read_start((uv_stream_t *)&builder->output, on_room, on_output);
	return 0;
}
