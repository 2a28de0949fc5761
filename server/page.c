#include "server/page.h"

#define FIELD_HEAD 6 /* tag and length of an entry, at most */

int page_size(uint32_t asked, uint32_t most, size_t *size, struct error *err)
{
	*size = asked ? asked : 100;
	if (asked > most)
		return error_set(err, E_INVALID, "page_size: %u; 1 to %u are allowed, 0 is 100", asked, most);
	return 0;
}

size_t page_cut(ProtobufCMessage **messages, size_t count, size_t bytes, bool *more, size_t *used)
{
	size_t kept = 0, sum = 0;

	for (; kept < count; kept++) {
		size_t one = protobuf_c_message_get_packed_size(messages[kept]) + FIELD_HEAD;

		if (kept > 0 && sum + one > bytes)
			break;
		sum += one;
	}
	for (size_t i = kept; i < count; i++) {
		protobuf_c_message_free_unpacked(messages[i], NULL);
		*more = true;
	}
	if (used)
		*used = sum;
	return kept;
}
