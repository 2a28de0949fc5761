#include "common/frame.h"
#include "common/error.h"

#include <stdbool.h>
#include <string.h>

static bool kind_known(uint16_t kind)
{
	switch ((enum frame_kind)kind) {
	case FRAME_SETUP:
	case FRAME_CATALOG_SET:
	case FRAME_CATALOG_DROP:
	case FRAME_DEFINITION_SET:
	case FRAME_DEFINITION_DROP:
	case FRAME_ITEM_SET:
	case FRAME_GENERATION_LOAD:
	case FRAME_GENERATION_ACTIVATE:
	case FRAME_GENERATION_DROP:
	case FRAME_CANCEL:
	case FRAME_DRAIN:
	case FRAME_CALL_AUDIENCE:
	case FRAME_CALL_AUDIENCE_NEXT:
	case FRAME_AUDIENCE_CLOSE:
	case FRAME_STATS_WANTED:
	case FRAME_BARRIER:
	case FRAME_ADMIT:
	case FRAME_GENERATION_WANTED:
	case FRAME_CALL_RECOMMEND:
	case FRAME_CALL_RECOMMEND_MANY:
	case FRAME_CALL_INGEST:
	case FRAME_CALL_LIST_EVENTS:
	case FRAME_CALL_DELETE_USER:
	case FRAME_READY:
	case FRAME_REPLY:
	case FRAME_GENERATION_LOADED:
	case FRAME_GENERATION_ACTIVATED:
	case FRAME_STATS:
	case FRAME_DRAINED:
		return true;
	}
	return false;
}

int64_t frame_next(const uint8_t *buffer, size_t bytes, struct frame_head *head)
{
	if (bytes < sizeof *head)
		return 0;
	memcpy(head, buffer, sizeof *head);
	if (head->bytes > FRAME_PAYLOAD_MAX || !kind_known(head->kind))
		return E_INVALID;
	size_t whole = sizeof *head + head->bytes;
	return bytes < whole ? 0 : (int64_t)whole;
}
