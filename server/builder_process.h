/*
 * One run of the builder as a child process: starts it at low priority, follows the JSON lines that it
 * says on its standard output (builder/report.h), and tells how it ended. When it runs, and what
 * becomes of what it made, is server/builds.h's business. Loop thread.
 *
 *     builder_process_start -> .. (phase, progress) -> over() -> builder_process_failed -> builder_process_start ..
 */
#ifndef KINDRED_SERVER_BUILDER_PROCESS_H
#define KINDRED_SERVER_BUILDER_PROCESS_H

#include "common/error.h"
#include "server/buffer.h"
#include "server/kept.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct server;
struct builds_request;

struct builder_process {
	struct server *server;
	/* what it said so far */
	char phase[256];
	double progress; /* of the whole build, 0 to 1 */
	char worse[HELD_WHY_MAX]; /* what its gate has against what it made; empty: nothing */
	json_t *unchanged; /* array: what it took over so far, as builder/report.h has it; NULL: nothing */
	bool said_done;
	struct error err; /* why it gave up, or could not be started; code 0: it said nothing of the kind */
	/* the process */
	uv_process_t process;
	uv_pipe_t output;
	struct buffer line; /* read, and not yet a whole line */
	bool process_gone, output_gone;
	int64_t exit_status;
	int exit_signal;
	void (*over)(void *context);
	void *context;
};

/*
 * Begins with generation `number`. over: once, later, when the process is reaped and its output read to
 * the end; also after an error (E_UNAVAILABLE: it cannot be started), which it then gives as the
 * reason.
 */
int builder_process_start(struct builder_process *builder, struct server *server, uint64_t number,
			  const struct builds_request *request, void (*over)(void *context), void *context,
			  struct error *err);
/* Once it is over. 0: it said that it is done, and ended so. Else why not: its own words, or how it ended. */
int builder_process_failed(struct builder_process *builder, struct error *err);
/* kill -9; nothing when none runs. over() follows. */
void builder_process_kill(struct builder_process *builder);
void builder_process_fini(struct builder_process *builder);

#endif
