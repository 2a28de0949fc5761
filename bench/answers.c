#include "bench/answers.h"

#include "common/wire.h"
#include "kindred/v1/events.pb-c.h"

#include <string.h>

#define RESULTS 1 /* of a RecommendManyResponse, a RecommendAudienceResponse */
#define RESULT_ITEMS 2 /* of a UserRecommendations */
#define RESULT_STATUS 4
#define RESULT_TEXT 5
#define OUTCOMES 1 /* of an IngestEventsResponse, an IngestEventStreamResponse */
#define REFUSALS 2
#define REFUSAL_REASON 2

static void count_failed(const struct wire_field *result, uint64_t status, struct unit_errors *errors)
{
	const uint8_t *text = NULL;
	size_t bytes = 0;
	wire_find(result->data, result->data_bytes, RESULT_TEXT, &text, &bytes);
	unit_errors_add(errors, unit_error_kind(status), text ? (const char *)text : "", bytes);
}

/* A result has items, or a status, which comes behind them; so of most only the beginning is read. */
static bool is_good(const struct wire_field *result, struct unit_errors *errors)
{
	struct wire_cursor cursor = { result->data, result->data + result->data_bytes };
	struct wire_field field;
	uint64_t status = 0;
	while (wire_next(&cursor, &field) == 1 && field.number != RESULT_ITEMS) {
		if (field.number != RESULT_STATUS)
			continue;
		if (wire_find_number(result->data, result->data_bytes, RESULT_STATUS, &status) != 1)
			status = UNIT_OTHER;
		if (status != 0) {
			count_failed(result, status, errors);
			return false;
		}
	}
	return true;
}

struct load_units answers_users(const uint8_t *answer, size_t bytes, struct unit_errors *errors)
{
	struct wire_cursor cursor = { answer, answer + bytes };
	struct load_units units = { 0 };
	struct wire_field field;
	while (wire_next(&cursor, &field) == 1) {
		if (field.number != RESULTS || field.type != WIRE_BYTES)
			continue;
		units.answered++;
		units.good += is_good(&field, errors);
	}
	return units;
}

/* Why the first event was refused: all of an answer's reasons are alike as a rule, and one is enough. */
static void count_refused(const uint8_t *answer, size_t bytes, struct unit_errors *errors)
{
	struct wire_cursor cursor = { answer, answer + bytes };
	struct wire_field field;
	const uint8_t *reason = NULL;
	size_t reason_bytes = 0;
	while (!errors->counts[UNIT_REFUSED] && wire_next(&cursor, &field) == 1)
		if (field.number == REFUSALS && field.type == WIRE_BYTES &&
		    wire_find(field.data, field.data_bytes, REFUSAL_REASON, &reason, &reason_bytes) == 1)
			break;
	unit_errors_add(errors, UNIT_REFUSED, reason ? (const char *)reason : "", reason_bytes);
}

/* Outcomes are packed, each in one byte. */
struct load_units answers_events(const uint8_t *answer, size_t bytes, struct unit_errors *errors)
{
	static const char duplicate[] = "its event id was taken before";
	static const char dropped[] = "older than all that its user's history keeps";
	const uint8_t *outcomes;
	size_t count;
	struct load_units units = { 0 };
	if (wire_find(answer, bytes, OUTCOMES, &outcomes, &count) != 1)
		return units;
	units.answered = count;
	for (size_t i = 0; i < count; i++) {
		if (outcomes[i] == KINDRED__V1__OUTCOME__OUTCOME_ACCEPTED)
			units.good++;
		else if (outcomes[i] == KINDRED__V1__OUTCOME__OUTCOME_DUPLICATE)
			unit_errors_add(errors, UNIT_DUPLICATE, duplicate, strlen(duplicate));
		else if (outcomes[i] == KINDRED__V1__OUTCOME__OUTCOME_DROPPED)
			unit_errors_add(errors, UNIT_DROPPED, dropped, strlen(dropped));
		else if (outcomes[i] == KINDRED__V1__OUTCOME__OUTCOME_REFUSED)
			count_refused(answer, bytes, errors);
		else
			unit_errors_add(errors, UNIT_OTHER, "", 0);
	}
	return units;
}
