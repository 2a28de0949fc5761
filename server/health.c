#include "server/health.h"

#include "common/wire.h"
#include "grpc/health/v1/health.pb-c.h"
#include "server/server.h"

#include <stdlib.h>
#include <string.h>

/* A Watch in progress. */
struct health_watcher {
	struct health_watcher *next, *previous;
	struct health *health;
	struct call *call;
	size_t bytes; /* of its one message */
	bool known; /* the service is one of ours */
};

static const char *const services[] = {
	"",
	"grpc.health.v1.Health",
	"kindred.v1.CatalogService",
	"kindred.v1.DefinitionService",
	"kindred.v1.EventService",
	"kindred.v1.ModelService",
	"kindred.v1.RecommendationService",
	"kindred.v1.StatusService",
};

static bool known_service(const uint8_t *name, size_t bytes)
{
	for (size_t i = 0; i < sizeof services / sizeof services[0]; i++)
		if (strlen(services[i]) == bytes && !memcmp(services[i], name, bytes))
			return true;
	return false;
}

/* The service a request names; absent is "". */
static int requested(const uint8_t *data, size_t bytes, const uint8_t **name, size_t *name_bytes)
{
	int found = wire_find(data, bytes, 1, name, name_bytes);

	if (found == 0) {
		*name = (const uint8_t *)"";
		*name_bytes = 0;
	}
	return found < 0 ? found : 0;
}

/* HealthCheckResponse: one enum field. */
static const uint8_t *answer(const struct health *health, bool known)
{
	static uint8_t bytes[2] = { 1 << 3 };

	bytes[1] = !known            ? GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN
		   : health->serving ? GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
				     : GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING;
	return bytes;
}

void health_check(struct call *call, const uint8_t *data, size_t bytes)
{
	const uint8_t *name;
	size_t name_bytes;

	if (requested(data, bytes, &name, &name_bytes))
		call_fail(call, E_INVALID, "the request is not a valid HealthCheckRequest");
	else if (!known_service(name, name_bytes))
		call_fail(call, E_NOT_FOUND, "service: there is no %.*s here",
			  (int)(name_bytes < 200 ? name_bytes : 200), (const char *)name);
	else
		call_reply(call, answer(&call->server->health, true), 2);
}

void health_watch(struct call *call, const uint8_t *data, size_t bytes)
{
	struct health *health = &call->server->health;
	struct health_watcher *watcher;
	const uint8_t *name;
	size_t name_bytes;

	if (call->state || requested(data, bytes, &name, &name_bytes)) {
		call_fail(call, E_INVALID, "Watch takes one valid HealthCheckRequest");
		health_watch_stop(call); /* a first message, which has begun one */
		call_message_done(call, bytes);
		return;
	}
	watcher = calloc(1, sizeof *watcher);
	if (!watcher) {
		call_fail(call, E_EXHAUSTED, "out of memory");
		call_message_done(call, bytes);
		return;
	}
	watcher->health = health;
	watcher->call = call;
	watcher->bytes = bytes;
	watcher->known = known_service(name, name_bytes);
	watcher->next = health->watchers;
	if (watcher->next)
		watcher->next->previous = watcher;
	health->watchers = watcher;
	call->state = watcher;
	call_send(call, answer(health, watcher->known), 2);
}

void health_watch_stop(struct call *call)
{
	struct health_watcher *watcher = call->state;
	size_t bytes;

	if (!watcher)
		return;
	call->state = NULL;
	if (watcher->previous)
		watcher->previous->next = watcher->next;
	else
		watcher->health->watchers = watcher->next;
	if (watcher->next)
		watcher->next->previous = watcher->previous;
	bytes = watcher->bytes;
	free(watcher);
	call_message_done(call, bytes);
}

void health_set(struct health *health, bool serving)
{
	if (health->serving == serving)
		return;
	health->serving = serving;
	for (struct health_watcher *watcher = health->watchers; watcher; watcher = watcher->next)
		if (watcher->known)
			call_send(watcher->call, answer(health, true), 2);
}

void health_stop(struct health *health)
{
	while (health->watchers) {
		struct call *call = health->watchers->call;

		call_fail(call, E_UNAVAILABLE, "the server is stopping");
		health_watch_stop(call);
	}
}
