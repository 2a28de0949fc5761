#include "server/many_answer.h"

#include "common/error.h"
#include "common/ids.h"
#include "common/wire.h"
#include "server/wire.h"

#define USERS_FIELD 1 /* of the request */
#define RESULTS_FIELD 1 /* of the answer */

int many_answer_failed(struct buffer *answer, const uint8_t *request, size_t bytes, int code, const char *text,
		       size_t text_bytes)
{
	struct wire_cursor cursor = { request, request + bytes };
	struct wire_field field;
	struct buffer result = { 0 };
	int rc;

	while ((rc = wire_next(&cursor, &field)) == 1) {
		if (field.number != USERS_FIELD || field.type != WIRE_BYTES)
			continue;
		result.bytes = 0;
		/* an id that is not UTF-8 could not be read back */
		if ((utf8_valid((const char *)field.data, field.data_bytes) &&
		     buffer_field(&result, 1, field.data, field.data_bytes)) ||
		    buffer_number(&result, 4, (uint64_t)error_grpc_status(code)) ||
		    buffer_field(&result, 5, text, text_bytes) ||
		    buffer_field(answer, RESULTS_FIELD, result.data, result.bytes)) {
			rc = E_EXHAUSTED;
			break;
		}
	}
	buffer_fini(&result);
	return rc;
}

int many_answer_cut(const uint8_t *answer, size_t bytes, size_t most,
		    void (*each)(void *context, const uint8_t *piece, size_t bytes), void *context)
{
	struct wire_cursor cursor = { answer, answer + bytes };
	struct buffer piece = { 0 }, rest = { 0 };
	struct wire_field field;
	int rc, failed = 0;

	if (bytes <= most) {
		each(context, answer, bytes);
		return 0;
	}
	while ((rc = wire_next(&cursor, &field)) == 1 && !failed)
		if (field.number != RESULTS_FIELD)
			failed = buffer_add(&rest, field.whole, field.whole_bytes);
	cursor = (struct wire_cursor){ answer, answer + bytes };
	while (!rc && !failed && (rc = wire_next(&cursor, &field)) == 1) {
		rc = 0;
		if (field.number != RESULTS_FIELD)
			continue;
		if (piece.bytes && piece.bytes + field.whole_bytes + rest.bytes > most) {
			failed = buffer_add(&piece, rest.data, rest.bytes);
			if (!failed)
				each(context, piece.data, piece.bytes);
			piece.bytes = 0;
		}
		failed = failed ? failed : buffer_add(&piece, field.whole, field.whole_bytes);
	}
	if (!rc && !failed)
		failed = buffer_add(&piece, rest.data, rest.bytes);
	if (!rc && !failed)
		each(context, piece.data, piece.bytes);
	buffer_fini(&piece);
	buffer_fini(&rest);
	return failed ? failed : rc;
}
