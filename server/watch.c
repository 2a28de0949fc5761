#include "server/watch.h"

#include "common/log.h"
#include "server/server.h"

#include <signal.h>

/* A process, as it is looked at. */
struct watched {
	const char *what; /* "worker" */
	uint32_t number;
	uv_process_t *process;
	int pid;
	bool silent;
	uint32_t *looks; /* that found it silent, in a row */
};

static void look_at(const struct server *server, const struct watched *watched)
{
	uint32_t most = (uint32_t)server->config.silent_seconds;

	if (!watched->silent) {
		*watched->looks = 0;
		return;
	}
	if (++*watched->looks == WATCH_WARN_SECONDS)
		log_warning("watch: %s %u (pid %d) has not answered for %u s", watched->what, watched->number,
			    watched->pid, WATCH_WARN_SECONDS);
	if (!most || *watched->looks < most)
		return;
	log_error("watch: %s %u (pid %d) has not answered for %u s; it is killed and started again", watched->what,
		  watched->number, watched->pid, most);
	*watched->looks = 0;
	uv_process_kill(watched->process, SIGKILL);
}

static void look_at_worker(const struct server *server, struct worker *worker)
{
	bool there = worker->state == WORKER_UP || worker->state == WORKER_LOADING;
	struct watched watched = { "worker",
				   worker->number,
				   &worker->process,
				   worker->pid,
				   there && worker->pid && status_silent_ms(worker),
				   &worker->silent_looks };

	look_at(server, &watched);
}

static void look_at_front_end(const struct server *server, struct front_end *front_end)
{
	bool there = front_end->state == FRONT_END_UP && front_end->pid;
	struct watched watched = { "front-end",
				   front_end->number,
				   &front_end->process,
				   front_end->pid,
				   there && round_silent_ms(server, front_end->owing, front_end->owing_ms),
				   &front_end->silent_looks };

	look_at(server, &watched);
}

void watch_look(struct server *server)
{
	if (server->state != SERVER_SERVING)
		return;
	for (uint32_t i = 0; i < server->supervisor.count; i++)
		look_at_worker(server, &server->supervisor.workers[i]);
	for (uint32_t i = 0; i < server->front_ends.count; i++)
		look_at_front_end(server, &server->front_ends.list[i]);
	/* The one that costs nothing to answer; front-ends are asked the other only. */
	round_ask(server, server->front_ends.count ? FRAME_STATS_WANTED : FRAME_BARRIER, NULL, NULL);
}
