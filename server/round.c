#include "server/round.h"

#include "server/server.h"

#include <stdlib.h>

/*
 * It stays until the last has answered, since only an answer shows that one that was silent is back; but whoever
 * asked is told after ROUND_PATIENCE_MS.
 */
struct round {
	struct round *next; /* of those that somebody waits for, in the order of their begin */
	struct server *server;
	enum frame_kind kind;
	void (*done)(void *context); /* NULL: told, or nobody waits */
	void *context;
	uint64_t asked_ms;
	uint32_t waiting; /* answers to come */
	struct round_ask {
		struct ask ask;
		struct round *round;
		struct worker *worker; /* or NULL, and */
		struct front_end *front_end;
	} asks[];
};

static uint64_t now_ms(const struct server *server)
{
	return uv_now(&server->loop);
}

uint64_t round_silent_ms(const struct server *server, uint32_t owing, uint64_t owing_ms)
{
	uint64_t waited = owing ? now_ms(server) - owing_ms : 0;

	return waited < ROUND_PATIENCE_MS ? 0 : waited;
}

/* --- who waits --- */

static void on_patience_over(uv_timer_t *timer);

static void wait_for_first(struct rounds *rounds)
{
	uint64_t until, now = now_ms(rounds->server);

	if (!rounds->first) {
		uv_timer_stop(&rounds->timer);
		return;
	}
	until = rounds->first->asked_ms + ROUND_PATIENCE_MS;
	uv_timer_start(&rounds->timer, on_patience_over, until > now ? until - now : 0, 0);
}

static void put_last(struct rounds *rounds, struct round *round)
{
	struct round **at = &rounds->first;

	while (*at)
		at = &(*at)->next;
	*at = round;
	wait_for_first(rounds);
}

/* Nobody waits for it any more. */
static void tell(struct rounds *rounds, struct round *round)
{
	void (*done)(void *context) = round->done;
	struct round **at = &rounds->first;

	while (*at != round)
		at = &(*at)->next;
	*at = round->next;
	wait_for_first(rounds);
	round->done = NULL;
	done(round->context);
}

static void on_patience_over(uv_timer_t *timer)
{
	struct rounds *rounds = timer->data;

	tell(rounds, rounds->first);
}

static void one_less(struct round *round)
{
	if (--round->waiting)
		return;
	if (round->done)
		tell(&round->server->rounds, round);
	free(round);
}

/* --- asking --- */

static void on_worker_answered(struct ask *answered, int code, const uint8_t *data, size_t bytes)
{
	struct round_ask *ask = (struct round_ask *)answered;
	struct worker *worker = ask->worker;

	if (!code && ask->round->kind == FRAME_STATS_WANTED)
		status_update(worker, data, bytes);
	/* Later questions are on their way: from now on it has time for them. */
	worker->owing_ms = --worker->owing ? now_ms(worker->server) : 0;
	one_less(ask->round);
}

static void on_front_end_answered(struct ask *answered, int code, const uint8_t *data, size_t bytes)
{
	struct round_ask *ask = (struct round_ask *)answered;

	if (!code)
		front_end_counted(ask->front_end, data, bytes);
	ask->front_end->owing_ms = --ask->front_end->owing ? now_ms(ask->round->server) : 0;
	one_less(ask->round);
}

/*
 * One that is silent would only have one more frame to read when it is back. And where nobody waits, an answer that is
 * to come will do: else whoever looks at a page very often, and does not even read it, fills the workers' links.
 */
static bool needs_no_question(const struct round *round, uint32_t owing, uint64_t silent_ms)
{
	return silent_ms || (owing && !round->done);
}

static void ask_worker(struct round *round, struct round_ask *ask, struct worker *worker)
{
	ask->round = round;
	ask->worker = worker;
	ask->ask.answered = on_worker_answered;
	if (needs_no_question(round, worker->owing, status_silent_ms(worker)) ||
	    worker_ask(worker, &ask->ask, round->kind, UINT64_MAX, false, NULL, 0, NULL))
		return;
	if (!worker->owing++)
		worker->owing_ms = round->asked_ms;
	round->waiting++;
}

static void ask_front_end(struct round *round, struct round_ask *ask, struct front_end *front_end)
{
	uint64_t silent_ms = round_silent_ms(round->server, front_end->owing, front_end->owing_ms);

	ask->round = round;
	ask->front_end = front_end;
	ask->ask.answered = on_front_end_answered;
	if (needs_no_question(round, front_end->owing, silent_ms) ||
	    link_ask(&front_end->link, &ask->ask, round->kind, UINT32_MAX, 0, NULL, 0, NULL))
		return;
	if (!front_end->owing++)
		front_end->owing_ms = round->asked_ms;
	round->waiting++;
}

int round_ask(struct server *server, enum frame_kind kind, void (*done)(void *context), void *context)
{
	uint32_t workers = server->supervisor.count;
	uint32_t front_ends = kind == FRAME_STATS_WANTED ? server->front_ends.count : 0;
	struct round *round = calloc(1, sizeof *round + (workers + front_ends) * sizeof round->asks[0]);

	if (!round)
		return E_EXHAUSTED;
	round->server = server;
	round->kind = kind;
	round->done = done;
	round->context = context;
	round->asked_ms = now_ms(server);
	round->waiting = 1; /* held until all are asked */
	if (done)
		put_last(&server->rounds, round);
	for (uint32_t i = 0; i < workers; i++)
		ask_worker(round, &round->asks[i], &server->supervisor.workers[i]);
	for (uint32_t i = 0; i < front_ends; i++)
		ask_front_end(round, &round->asks[workers + i], &server->front_ends.list[i]);
	one_less(round);
	return 0;
}

void round_settle(struct server *server, void (*done)(void *context), void *context)
{
	if (!server->front_ends.count || round_ask(server, FRAME_BARRIER, done, context))
		done(context); /* without memory for the question a front-end may see the change a moment late */
}

static void answer(void *context)
{
	struct job *job = context;

	job_answer(job);
	job_free(job);
}

void round_job_answer(struct job *job)
{
	round_settle(job->server, answer, job);
}

int rounds_init(struct rounds *rounds, struct server *server)
{
	*rounds = (struct rounds){ .server = server };
	rounds->timer.data = rounds;
	return uv_timer_init(&server->loop, &rounds->timer);
}
