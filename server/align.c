#include "server/align.h"

#include "common/log.h"
#include "server/catchup.h"
#include "server/server.h"

#include <inttypes.h>
#include <string.h>

#define TRIES 2

static void align_failed(struct worker *worker, const char *what, const char *text, size_t bytes, bool damaged)
{
	bool again;

	if (!worker->link.open)
		return; /* it died; it will be started again */
	log_error("supervisor: worker %u cannot %s generation %" PRIu64 ": %.*s", worker->number, what,
		  worker->aligning_to, (int)bytes, text);
	/*
	 * Another generation may be active by now; or a swap that was given up made it forget this one
	 * between load and activation.
	 */
	if (damaged)
		again = server_active_damaged(worker->server, worker->aligning_to);
	else
		again = server_active(worker->server) != worker->aligning_to || worker->align_tries++ < TRIES;
	if (again)
		align_worker(worker);
	else
		worker_up(worker);
}

static void on_activated(struct ask *ask, int code, const uint8_t *data, size_t bytes)
{
	struct worker *worker = (struct worker *)((char *)ask - offsetof(struct worker, ask));

	if (code) {
		align_failed(worker, "activate", (const char *)data, bytes, false);
		return;
	}
	worker->generation = worker->aligning_to;
	align_worker(worker);
}

static void on_caught_up(void *context, uint64_t incarnation, int code, const struct error *failed)
{
	struct worker *worker = context;
	struct error err;

	if (worker->incarnation != incarnation || !worker->link.open)
		return;
	if (code) {
		align_failed(worker, "catch up with", failed->text, strlen(failed->text), false);
		return;
	}
	worker->ask.answered = on_activated;
	if (worker_command(worker, &worker->ask, FRAME_GENERATION_ACTIVATE, worker->aligning_to, &err))
		align_failed(worker, "activate", err.text, strlen(err.text), false);
}

static void on_loaded(struct ask *ask, int code, const uint8_t *data, size_t bytes)
{
	struct worker *worker = (struct worker *)((char *)ask - offsetof(struct worker, ask));
	struct server *server = worker->server;

	if (code) {
		align_failed(worker, "load", (const char *)data, bytes, code == E_DATA_LOSS);
		return;
	}
	worker->has_model = true;
	if (server_active(server) != worker->aligning_to) {
		align_worker(worker); /* a swap came between */
		return;
	}
	catchup_start(server, server->active, worker, on_caught_up, worker, worker->incarnation);
}

void align_worker(struct worker *worker)
{
	uint64_t active = server_active(worker->server);
	struct error err;

	if (active == worker->generation || !active) {
		worker_up(worker);
		return;
	}
	worker->aligning = true;
	worker->aligning_to = active;
	worker->ask.answered = on_loaded;
	if (worker_command(worker, &worker->ask, FRAME_GENERATION_LOAD, active, &err))
		align_failed(worker, "load", err.text, strlen(err.text), false);
}
