#include "bench/work.h"

#include "bench/answers.h"
#include "bench/chance.h"
#include "common/clock.h"
#include "kindred/v1/events.pb-c.h"
#include "kindred/v1/recommend.pb-c.h"

const char *const work_names[WORK_KINDS] = { "", "recommend", "many", "audience", "ingest", "ingest-unary", "mix" };

/* Room for one batch; the generator has one thread. */
static char user_ids[WORK_BATCH_MAX][USER_ID_MAX + 1];
static char *user_list[WORK_BATCH_MAX];
static char item_ids[WORK_BATCH_MAX][24], event_ids[WORK_BATCH_MAX][48];
static Google__Protobuf__Timestamp times[WORK_BATCH_MAX];
static Kindred__V1__Event events[WORK_BATCH_MAX], *event_list[WORK_BATCH_MAX];

const char *work_unit(enum work_kind kind)
{
	return kind == WORK_MANY || kind == WORK_AUDIENCE ? "users" : kind == WORK_INGEST ? "events" : "calls";
}

/* --- messages --- */

static size_t make_recommend(void *context, uint64_t number, unsigned *kind, uint8_t *buffer)
{
	const struct work *work = context;
	Kindred__V1__RecommendRequest request = KINDRED__V1__RECOMMEND_REQUEST__INIT;
	(void)kind;
	request.user_id = users_pick(&work->users, number, user_ids[0]);
	request.definition = (char *)work->definition;
	request.count = work->count;
	return kindred__v1__recommend_request__pack(&request, buffer);
}

static size_t make_many(void *context, uint64_t number, unsigned *kind, uint8_t *buffer)
{
	const struct work *work = context;
	Kindred__V1__RecommendManyRequest request = KINDRED__V1__RECOMMEND_MANY_REQUEST__INIT;
	(void)kind;
	for (uint64_t i = 0; i < work->batch; i++)
		user_list[i] = users_pick(&work->users, number * work->batch + i, user_ids[i]);
	request.n_user_ids = work->batch;
	request.user_ids = user_list;
	request.definition = (char *)work->definition;
	request.count = work->count;
	return kindred__v1__recommend_many_request__pack(&request, buffer);
}

static size_t make_audience(void *context, uint64_t number, unsigned *kind, uint8_t *buffer)
{
	const struct work *work = context;
	Kindred__V1__RecommendAudienceRequest request = KINDRED__V1__RECOMMEND_AUDIENCE_REQUEST__INIT;
	(void)number;
	(void)kind;
	request.definition = (char *)work->definition;
	request.count = work->count;
	return kindred__v1__recommend_audience_request__pack(&request, buffer);
}

static void make_events(const struct work *work, uint64_t number, uint64_t count)
{
	int64_t now_ms = clock_wall_ms();
	for (uint64_t i = 0; i < count; i++) {
		uint64_t event = number * count + i;
		int64_t time_ms = work_event_time_ms(work, event, now_ms);
		kindred__v1__event__init(&events[i]);
		google__protobuf__timestamp__init(&times[i]);
		times[i].seconds = time_ms / 1000;
		times[i].nanos = (int32_t)(time_ms % 1000) * 1000000;
		users_id(item_ids[i], 'i', chance_mix(event + 7 * work->users.seed) % work->items);
		users_id(users_id(event_ids[i], 'b', (uint64_t)work->event_time_ms), '-', event);
		events[i].user_id = users_pick(&work->users, event, user_ids[i]);
		events[i].item_id = item_ids[i];
		events[i].type = (char *)"Viewed";
		events[i].time = &times[i];
		events[i].event_id = event_ids[i];
		event_list[i] = &events[i];
	}
}

static size_t make_ingest(void *context, uint64_t number, unsigned *kind, uint8_t *buffer)
{
	const struct work *work = context;
	Kindred__V1__IngestEventStreamRequest request = KINDRED__V1__INGEST_EVENT_STREAM_REQUEST__INIT;
	(void)kind;
	make_events(work, number, work->batch);
	request.n_events = work->batch;
	request.events = event_list;
	request.catalog = (char *)work->catalog;
	request.batch = number;
	return kindred__v1__ingest_event_stream_request__pack(&request, buffer);
}

static size_t make_ingest_unary(void *context, uint64_t number, unsigned *kind, uint8_t *buffer)
{
	const struct work *work = context;
	Kindred__V1__IngestEventsRequest request = KINDRED__V1__INGEST_EVENTS_REQUEST__INIT;
	(void)kind;
	make_events(work, number, 1);
	request.n_events = 1;
	request.events = event_list;
	request.catalog = (char *)work->catalog;
	return kindred__v1__ingest_events_request__pack(&request, buffer);
}

/* Which it is depends on its number alone, by another draw than that of its user. */
static size_t make_mix(void *context, uint64_t number, unsigned *kind, uint8_t *buffer)
{
	const struct work *work = context;
	*kind = chance_share(chance_mix(~number ^ work->users.seed)) < work->ingest_share;
	return (*kind ? make_ingest_unary : make_recommend)(context, number, kind, buffer);
}

/* --- answers --- */

/* A call that was answered OK. */
static struct load_units count_one(void *context, unsigned kind, const uint8_t *answer, size_t bytes,
				   struct unit_errors *errors)
{
	(void)context;
	(void)kind;
	(void)answer;
	(void)bytes;
	(void)errors;
	return (struct load_units){ 1, 1 };
}

static struct load_units count_users(void *context, unsigned kind, const uint8_t *answer, size_t bytes,
				     struct unit_errors *errors)
{
	(void)context;
	(void)kind;
	return answers_users(answer, bytes, errors);
}

static struct load_units count_events(void *context, unsigned kind, const uint8_t *answer, size_t bytes,
				      struct unit_errors *errors)
{
	(void)context;
	(void)kind;
	return answers_events(answer, bytes, errors);
}

static struct load_units count_mix(void *context, unsigned kind, const uint8_t *answer, size_t bytes,
				   struct unit_errors *errors)
{
	return (kind ? count_events : count_one)(context, kind, answer, bytes, errors);
}

#define RECOMMEND "/kindred.v1.RecommendationService/Recommend"
#define INGEST "/kindred.v1.EventService/IngestEvents"

struct load_work work_load(struct work *work)
{
	switch (work->kind) {
	case WORK_MANY:
		return (struct load_work){ .methods = { "/kindred.v1.RecommendationService/RecommendMany" },
					   .make = make_many,
					   .count = count_users,
					   .context = work,
					   .units_per_message = work->batch };
	case WORK_AUDIENCE:
		return (struct load_work){ .methods = { "/kindred.v1.RecommendationService/RecommendAudience" },
					   .make = make_audience,
					   .count = count_users,
					   .context = work,
					   .walks = true };
	case WORK_INGEST:
		return (struct load_work){ .methods = { "/kindred.v1.EventService/IngestEventStream" },
					   .make = make_ingest,
					   .count = count_events,
					   .context = work,
					   .units_per_message = work->batch };
	case WORK_INGEST_UNARY:
		return (struct load_work){ .methods = { INGEST },
					   .make = make_ingest_unary,
					   .count = count_events,
					   .context = work,
					   .units_per_message = 1 };
	case WORK_MIX:
		return (struct load_work){ .methods = { RECOMMEND, INGEST },
					   .make = make_mix,
					   .count = count_mix,
					   .context = work,
					   .units_per_message = 1 };
	case WORK_NONE:
	case WORK_RECOMMEND:
		break;
	}
	return (struct load_work){ .methods = { RECOMMEND },
				   .make = make_recommend,
				   .count = count_one,
				   .context = work,
				   .units_per_message = 1 };
}
