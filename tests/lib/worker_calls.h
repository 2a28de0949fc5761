/* What a server tells a worker, and its callers ask of it, over the link of lib/worker_process.h; each awaits its reply. */
#ifndef KINDRED_TEST_WORKER_CALLS_H
#define KINDRED_TEST_WORKER_CALLS_H

#include "kindred/v1/events.pb-c.h"
#include "kindred/v1/recommend.pb-c.h"
#include "lib/worker_process.h"

#include <stddef.h>
#include <stdint.h>

/* --- what the server would tell it --- */

/* Attributes: those of the fixture shop (lib/model_fixture.h). */
void worker_set_shop(struct worker_process *process);
/* worker_start and that. */
void worker_start_shop(struct worker_process *process);
void worker_set_definition(struct worker_process *process, const Kindred__V1__Definition *definition);
/* Loads models/<number> and activates it; fails unless both are OK. */
void worker_serve_generation(struct worker_process *process, const char *path, uint64_t number);

/* --- calls --- */

struct test_event {
	const char *user, *item, *type, *id;
	int64_t time_ms; /* 0: unset */
};
/* Sends a batch for catalog "shop"; returns the call. */
uint64_t worker_send_events(struct worker_process *process, const struct test_event *events, size_t count);
/* Sends and awaits it; free with kindred__v1__ingest_events_response__free_unpacked(x, NULL). */
Kindred__V1__IngestEventsResponse *worker_ingest(struct worker_process *process, const struct test_event *events,
						 size_t count);
/* One event that must be accepted. */
void worker_ingest_one(struct worker_process *process, const char *user, const char *item, const char *type,
		       int64_t time_ms);
Kindred__V1__RecommendResponse *worker_recommend(struct worker_process *process, const char *user,
						 const char *definition, uint32_t count);
Kindred__V1__RecommendResponse *worker_recommend_request(struct worker_process *process,
							 const Kindred__V1__RecommendRequest *request);
Kindred__V1__RecommendManyResponse *worker_many_reply(struct worker_process *process, uint64_t call);
/* "item-1 item-2*": ids in order, '*' after those from a fallback. In a static buffer. */
const char *worker_recommended(const Kindred__V1__RecommendResponse *response);
/* The same of one call, with the response freed. */
const char *worker_recommends(struct worker_process *process, const char *user, const char *definition, uint32_t count);
Kindred__V1__ListUserEventsResponse *worker_list(struct worker_process *process, const char *user, uint32_t page_size,
						 const char *token);
/* How many events of the user it has. */
uint32_t worker_kept_events(struct worker_process *process, const char *user);
Kindred__Internal__WorkerStats *worker_stats(struct worker_process *process);

#endif
