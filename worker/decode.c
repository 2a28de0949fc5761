#include "worker/decode.h"
#include "common/clock.h"

int decode_timestamp(struct text_view message, int64_t *time_ms)
{
	struct wire_cursor cursor = decode_inside(message);
	struct wire_field field;
	int64_t seconds = 0;
	int32_t nanos = 0;
	int got;
	while ((got = wire_next(&cursor, &field)) > 0) {
		if (field.number == 1 && field.type == WIRE_VARINT)
			seconds = (int64_t)decode_varint(&field);
		else if (field.number == 2 && field.type == WIRE_VARINT)
			nanos = (int32_t)decode_varint(&field);
	}
	/* the bounds of google/protobuf/timestamp.proto, so that nothing below overflows */
	if (got < 0 || nanos < 0 || nanos > 999999999 || seconds < CALENDAR_MIN_MS / 1000 ||
	    seconds > TIME_MAX_MS / 1000)
		return E_INVALID;
	*time_ms = seconds * 1000 + nanos / 1000000;
	return 0;
}
