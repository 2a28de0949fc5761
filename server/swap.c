#include "server/swap.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/model.h"
#include "kindred/internal/link.pb-c.h"
#include "server/catchup.h"
#include "server/moves.h"
#include "server/server.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_NS UINT64_C(30000000000)
#define LOOK_AGAIN_MS 20

struct swap_request {
	struct swap_request *next;
	uint64_t number; /* 0: only prune, or go back */
	bool back;
	swap_done done;
	void *context;
	uint64_t begun_ns;
};

struct swap_ask {
	struct ask ask;
	struct swap *swap;
	struct worker *worker;
	bool in; /* takes part: it was up when the swap began, and has not died since */
	uint64_t incarnation;
};

static const unsigned moves[] = {
	[SWAP_IDLE] = 1u << SWAP_READING | 1u << SWAP_PRUNING,
	[SWAP_READING] = 1u << SWAP_LOADING | 1u << SWAP_IDLE,
	[SWAP_LOADING] = 1u << SWAP_CATCHING_UP | 1u << SWAP_IDLE,
	[SWAP_CATCHING_UP] = 1u << SWAP_ACTIVATING | 1u << SWAP_IDLE,
	[SWAP_ACTIVATING] = 1u << SWAP_RECORDING | 1u << SWAP_IDLE,
	[SWAP_RECORDING] = 1u << SWAP_PRUNING,
	[SWAP_PRUNING] = 1u << SWAP_IDLE,
};
static const char *const state_names[] = { "idle",       "reading",   "loading", "catching up",
					   "activating", "recording", "pruning" };

static void start_next(struct swap *swap);

static void move(struct swap *swap, enum swap_state to)
{
	moves_check(moves, state_names, swap->state, to);
	log_debug("swap: %s -> %s", state_names[swap->state], state_names[to]);
	swap->state = to;
}

int swap_init(struct swap *swap, struct server *server, uint32_t workers, struct error *err)
{
	*swap = (struct swap){ .server = server };
	swap->asks = calloc(workers, sizeof *swap->asks);
	uv_timer_init(&server->loop, &swap->timer);
	swap->timer.data = swap;
	if (!swap->asks)
		return error_set(err, E_EXHAUSTED, "out of memory");
	return 0;
}

void swap_fini(struct swap *swap)
{
	while (swap->first) {
		struct swap_request *request = swap->first;

		swap->first = request->next;
		free(request);
	}
	generation_release(swap->generation);
	swap->generation = NULL;
	free(swap->asks);
	swap->asks = NULL;
}

bool swap_running(const struct swap *swap)
{
	return swap->state != SWAP_IDLE || swap->first;
}

/* The request at the head is over; its asker hears, the next one begins. */
static void finish(struct swap *swap, int code)
{
	struct swap_request *request = swap->first;

	move(swap, SWAP_IDLE);
	generation_release(swap->generation);
	swap->generation = NULL;
	swap->first = request->next;
	if (!swap->first)
		swap->last = NULL;
	if (request->done)
		request->done(request->context, code, &swap->err);
	free(request);
	start_next(swap);
}

static void give_up(struct swap *swap)
{
	struct server *server = swap->server;
	Kindred__Internal__GenerationCommand command = KINDRED__INTERNAL__GENERATION_COMMAND__INIT;

	log_error("swap: generation %" PRIu64 " is not served: %s", swap->first->number, swap->err.text);
	command.number = swap->first->number;
	/*
	 * Once some may have activated it, it stays with them until it is pruned: the old one must be active
	 * again before. Neither is it taken from calls that are answered from it.
	 */
	if ((swap->state == SWAP_LOADING || swap->state == SWAP_CATCHING_UP) &&
	    command.number != server_active(server) && !pins_keep(&server->pins, command.number)) {
		for (uint32_t i = 0; i < server->supervisor.count; i++)
			link_send_message(&server->supervisor.workers[i].link, FRAME_GENERATION_DROP, &command.base);
		pins_dropped(&server->pins, command.number);
	}
	finish(swap, swap->err.code);
}

/* --- asking all workers --- */

static bool still_in(const struct swap_ask *ask)
{
	return ask->in && ask->worker->incarnation == ask->incarnation && ask->worker->link.open;
}

/* kind to every worker that takes part. False: none does. */
static bool command_all(struct swap *swap, enum frame_kind kind,
			void (*answered)(struct ask *ask, int code, const uint8_t *data, size_t bytes))
{
	struct error err;

	swap->waiting = 1; /* held until all are asked */
	for (uint32_t i = 0; i < swap->server->supervisor.count; i++) {
		struct swap_ask *ask = &swap->asks[i];

		if (!still_in(ask))
			ask->in = false;
		if (!ask->in)
			continue;
		ask->ask.answered = answered;
		if (worker_command(ask->worker, &ask->ask, kind, swap->first->number, &err))
			ask->in = false;
		else
			swap->waiting++;
	}
	return swap->waiting > 1;
}

/* One answer more. A worker that died is out of the swap; one that refuses ends it. True: this was the last one. */
static bool answered_by(struct swap_ask *ask, int code, const uint8_t *data, size_t bytes, const char *what)
{
	struct swap *swap = ask->swap;

	if (code && !ask->worker->link.open)
		ask->in = false;
	else if (code && !swap->err.code)
		error_set(&swap->err, code, "worker %u cannot %s generation %" PRIu64 ": %.*s", ask->worker->number,
			  what, swap->first->number, (int)bytes, (const char *)data);
	return --swap->waiting == 0;
}

static bool anybody_in(const struct swap *swap)
{
	for (uint32_t i = 0; i < swap->server->supervisor.count; i++)
		if (still_in(&swap->asks[i]))
			return true;
	return false;
}

static bool nobody(struct swap *swap)
{
	if (!swap->err.code && !anybody_in(swap))
		error_set(&swap->err, E_UNAVAILABLE, "no worker is up to serve it; try again");
	return swap->err.code != 0;
}

/* --- pruning --- */

struct pruning {
	struct kept kept;
	struct kept_rules rules;
	uint64_t *pinned, *removed;
	size_t removed_count;
};

static int prune_files(struct job *job)
{
	struct pruning *pruning = job->context;
	int rc = kept_read(&pruning->kept, job->server->models_directory, &job->err);

	if (rc)
		return rc;
	pruning->removed = calloc(pruning->kept.count + 1, sizeof *pruning->removed);
	if (!pruning->removed)
		return error_set(&job->err, E_EXHAUSTED, "out of memory");
	pruning->removed_count = kept_cut(&pruning->kept, &pruning->rules, pruning->removed);
	for (size_t i = 0; i < pruning->removed_count; i++)
		if (generation_unlink(job->server->models_directory, pruning->removed[i], &job->err))
			log_warning("swap: cannot remove an old generation: %s", job->err.text);
	return 0;
}

static void on_pruned(struct job *job)
{
	struct pruning *pruning = job->context;
	struct server *server = job->server;

	if (job->code)
		log_warning("swap: cannot see to old generations: %s", job->err.text);
	for (size_t i = 0; i < pruning->removed_count; i++) {
		Kindred__Internal__GenerationCommand command = KINDRED__INTERNAL__GENERATION_COMMAND__INIT;

		command.number = pruning->removed[i];
		for (uint32_t w = 0; w < server->supervisor.count; w++)
			link_send_message(&server->supervisor.workers[w].link, FRAME_GENERATION_DROP, &command.base);
		pins_dropped(&server->pins, pruning->removed[i]);
		log_info("swap: removed generation %" PRIu64, pruning->removed[i]);
	}
	if (!job->code)
		server_kept(server, &pruning->kept);
	kept_free(&pruning->kept);
	free(pruning->removed);
	free(pruning->pinned);
	free(pruning);
	job_free(job);
	finish(&server->swap, server->swap.err.code);
}

static void prune(struct swap *swap)
{
	const struct pins *pins = &swap->server->pins;
	size_t held = pins_held(pins, NULL, 0);
	struct pruning *pruning = calloc(1, sizeof *pruning);
	uint64_t *numbers = calloc(held + 1, sizeof *numbers);
	struct job *job =
		pruning && numbers ? job_new(swap->server, NULL, NULL, NULL, 0, prune_files, on_pruned) : NULL;

	move(swap, SWAP_PRUNING);
	if (!job) {
		free(pruning);
		free(numbers);
		finish(swap, swap->err.code);
		return;
	}
	pruning->pinned = numbers;
	pruning->rules = (struct kept_rules){ .active = server_active(swap->server),
					      .limit = (uint64_t)swap->server->config.generations_kept,
					      .pinned = numbers,
					      .pinned_count = pins_held(pins, numbers, held) };
	/* so that refreshes, which may come often, leave the generations before them to roll back to */
	if (swap->server->builds.number == pruning->rules.active)
		pruning->rules.replaced = swap->server->builds.replaces;
	job->context = pruning;
	lane_run(&swap->server->model_lane, job);
}

/* Some workers may have activated it: they go back. */
static void give_up_active(struct swap *swap)
{
	struct supervisor *supervisor = &swap->server->supervisor;

	give_up(swap);
	supervisor_align(supervisor);
}

/* --- recording --- */

static int write_active(struct job *job)
{
	struct generation *generation = job->context;
	int rc = datadir_active_write(&job->server->dir, generation->number, &job->err);

	if (!rc)
		generation_held_remove(job->server->models_directory, generation->number);
	return rc;
}

static void on_recorded(struct job *job)
{
	struct server *server = job->server;
	struct swap *swap = &server->swap;
	uint64_t before = server_active(server);

	if (job->code) {
		error_set(&swap->err, job->code,
			  "generation %" PRIu64 " is served, but after a restart generation %" PRIu64 " would be: %s",
			  swap->first->number, before, job->err.text);
		log_error("swap: %s", swap->err.text);
	}
	generation_release(server->active);
	server->active = generation_reference(swap->generation);
	server->stats.swaps++;
	log_info("swap: generation %" PRIu64 " active (was %" PRIu64 "), %" PRIu64 " ms", swap->first->number, before,
		 (clock_monotonic_ns() - swap->first->begun_ns) / 1000000);
	job_free(job);
	supervisor_align(&server->supervisor);
	prune(swap);
}

static void record(struct swap *swap)
{
	struct job *job = job_new(swap->server, NULL, NULL, NULL, 0, write_active, on_recorded);

	if (!job) {
		error_set(&swap->err, E_EXHAUSTED, "out of memory");
		give_up_active(swap);
		return;
	}
	move(swap, SWAP_RECORDING);
	job->context = swap->generation;
	lane_run(&swap->server->model_lane, job);
}

/* --- the steps before --- */

static void on_activated(struct ask *answered, int code, const uint8_t *data, size_t bytes)
{
	struct swap_ask *ask = (struct swap_ask *)answered;
	struct swap *swap = ask->swap;

	if (!code)
		ask->worker->generation = swap->first->number;
	if (!answered_by(ask, code, data, bytes, "activate"))
		return;
	if (nobody(swap))
		give_up_active(swap);
	else
		record(swap);
}

static void activate(struct swap *swap)
{
	move(swap, SWAP_ACTIVATING);
	command_all(swap, FRAME_GENERATION_ACTIVATE, on_activated);
	if (--swap->waiting == 0) {
		nobody(swap);
		give_up(swap);
	}
}

static void on_caught_up(void *context, uint64_t cookie, int code, const struct error *err)
{
	struct swap *swap = context;

	(void)cookie;
	if (code) {
		swap->err = *err;
		give_up(swap);
		return;
	}
	activate(swap);
}

static void on_loaded(struct ask *answered, int code, const uint8_t *data, size_t bytes)
{
	struct swap_ask *ask = (struct swap_ask *)answered;
	struct swap *swap = ask->swap;

	if (!code)
		ask->worker->has_model = true;
	if (!answered_by(ask, code, data, bytes, "load"))
		return;
	if (nobody(swap)) {
		give_up(swap);
		return;
	}
	move(swap, SWAP_CATCHING_UP);
	catchup_start(swap->server, swap->generation, NULL, on_caught_up, swap, 0);
}

static void load(struct swap *swap);

static void on_look_again(uv_timer_t *timer)
{
	load(timer->data);
}

/* All workers are being restarted: one will be up in a moment. */
static bool wait_for_a_worker(struct swap *swap)
{
	struct server *server = swap->server;

	if (supervisor_up(&server->supervisor) || server->state >= SERVER_DRAINING ||
	    clock_monotonic_ns() - swap->first->begun_ns > PATIENCE_NS)
		return false;
	uv_timer_start(&swap->timer, on_look_again, LOOK_AGAIN_MS, 0);
	return true;
}

static void load(struct swap *swap)
{
	if (wait_for_a_worker(swap))
		return;
	for (uint32_t i = 0; i < swap->server->supervisor.count; i++) {
		struct worker *worker = &swap->server->supervisor.workers[i];

		swap->asks[i] = (struct swap_ask){ .swap = swap, .worker = worker, .incarnation = worker->incarnation };
		swap->asks[i].in = worker->state == WORKER_UP && !worker->aligning;
	}
	move(swap, SWAP_LOADING);
	command_all(swap, FRAME_GENERATION_LOAD, on_loaded);
	if (--swap->waiting == 0) {
		nobody(swap);
		give_up(swap);
	}
}

static int read_generation(struct job *job)
{
	struct swap *swap = &job->server->swap;

	return generation_read((struct generation **)&job->context, job->server->models_directory, swap->first->number,
			       &job->err);
}

static void on_read(struct job *job)
{
	struct swap *swap = &job->server->swap;
	struct error err = job->err;
	int code = job->code;

	swap->generation = code ? NULL : job->context;
	job_free(job);
	if (code == E_NOT_FOUND)
		error_set(&swap->err, code,
			  "generation %" PRIu64 " is not kept; `kindred model list` shows those that are",
			  swap->first->number);
	else if (code)
		swap->err = err;
	if (code)
		give_up(swap);
	else
		load(swap);
}

/* False: there is none to go back to, and the request is over. */
static bool choose_older(struct swap *swap)
{
	uint64_t active = server_active(swap->server);

	swap->first->number = kept_before(&swap->server->kept, active);
	if (swap->first->number)
		return true;
	if (active)
		error_set(&swap->err, E_PRECONDITION,
			  "no generation that was served is kept and older than the active one (%" PRIu64
			  "); `kindred model list` shows those that are kept",
			  active);
	else
		error_set(&swap->err, E_PRECONDITION, "there is no model yet that is served, so none to go back to; %s",
			  swap->server->kept.count ? "`kindred model list` shows those that are kept"
						   : "build one first");
	finish(swap, swap->err.code);
	return false;
}

static void start_next(struct swap *swap)
{
	struct job *job;

	if (swap->state != SWAP_IDLE || !swap->first)
		return;
	swap->err = (struct error){ 0 };
	if (!swap->first->number && !swap->first->back) {
		prune(swap);
		return;
	}
	swap->first->begun_ns = clock_monotonic_ns();
	move(swap, SWAP_READING);
	if (swap->first->back && !choose_older(swap))
		return;
	job = job_new(swap->server, NULL, NULL, NULL, 0, read_generation, on_read);
	if (!job) {
		error_set(&swap->err, E_EXHAUSTED, "out of memory");
		give_up(swap);
		return;
	}
	lane_run(&swap->server->model_lane, job);
}

static void queue(struct swap *swap, uint64_t number, bool back, swap_done done, void *context)
{
	struct swap_request *request = calloc(1, sizeof *request);
	struct error err;

	if (!request) {
		error_set(&err, E_EXHAUSTED, "out of memory");
		if (done)
			done(context, err.code, &err);
		return;
	}
	request->number = number;
	request->back = back;
	request->done = done;
	request->context = context;
	if (swap->last)
		swap->last->next = request;
	else
		swap->first = request;
	swap->last = request;
	start_next(swap);
}

void swap_start(struct swap *swap, uint64_t number, swap_done done, void *context)
{
	queue(swap, number, false, done, context);
}

void swap_back(struct swap *swap, swap_done done, void *context)
{
	queue(swap, 0, true, done, context);
}

void swap_prune(struct swap *swap, swap_done done, void *context)
{
	queue(swap, 0, false, done, context);
}
