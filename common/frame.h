/*
 * Frames: what travels between the server and a worker, and between a further front-end and a worker, through memory
 * (common/ring.h), and between such a front-end and the server on a stream socket; nowhere else.
 *
 * A frame is a 24-byte head, in host byte order (both ends run on one machine today; a link to another
 * machine would translate here), and `bytes` bytes of payload. Calls carry the client's request bytes
 * as they came; replies carry the bytes of the gRPC answer, or the text of an error. Everything else
 * carries a message of proto/kindred/internal/link.proto.
 *
 * Order is kept per direction, and the worker works on frames in that order: a change that the server
 * sends before a call (an item, a definition, a generation) is seen by that call. A call that comes
 * from another front-end has no such order to changes: the server acknowledges them to its clients only
 * when every worker has answered a FRAME_BARRIER behind them.
 *
 * This module only reads and writes heads and finds whole frames in a buffer; pure.
 */
#ifndef KINDRED_FRAME_H
#define KINDRED_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define LINK_VERSION 7u
#define FRAME_PAYLOAD_MAX (64u << 20)
/* The worker finds its end of the link on this file descriptor. */
#define LINK_FD 3
/*
 * A worker finds here the socket on which further front-ends come (Setup says whether there are any);
 * such a front-end its gRPC connection to the server.
 */
#define FRONT_END_FD 4
/*
 * The server gives a worker the memory of their link here (common/ring.h); a further front-end sends it
 * over the socket. Without it frames go through the socket.
 */
#define LINK_MEMORY_FD 5

enum frame_kind {
	/* server to worker */
	FRAME_SETUP = 1, /* Setup */
	FRAME_CATALOG_SET, /* CatalogSet */
	FRAME_CATALOG_DROP, /* Drop */
	FRAME_DEFINITION_SET, /* DefinitionSet */
	FRAME_DEFINITION_DROP, /* Drop */
	FRAME_ITEM_SET, /* ItemSet */
	FRAME_GENERATION_LOAD, /* GenerationCommand */
	FRAME_GENERATION_ACTIVATE, /* GenerationCommand */
	FRAME_GENERATION_DROP, /* GenerationCommand */
	FRAME_CANCEL, /* no payload: the call is not wanted any more; no reply is sent */
	FRAME_DRAIN, /* no payload: finish what is queued, flush, say FRAME_DRAINED, exit */
	FRAME_CALL_RECOMMEND, /* kindred.v1.RecommendRequest -> RecommendResponse */
	/* kindred.v1.RecommendManyRequest, of this worker's users -> RecommendManyResponse */
	FRAME_CALL_RECOMMEND_MANY,
	/*
	 * kindred.v1.IngestEventsRequest, of this worker's users -> IngestEventsResponse, indexes
	 * within this frame
	 */
	FRAME_CALL_INGEST,
	/* kindred.v1.ListUserEventsRequest -> ListUserEventsResponse, without ids and names of items */
	FRAME_CALL_LIST_EVENTS,
	FRAME_CALL_DELETE_USER, /* kindred.v1.DeleteUserRequest -> DeleteUserResponse, without generations */
	FRAME_CALL_AUDIENCE, /* AudienceOpen -> AudiencePortion and results */
	/* the walk's number, 8 bytes -> the next AudiencePortion; several may be asked for at once */
	FRAME_CALL_AUDIENCE_NEXT,
	FRAME_AUDIENCE_CLOSE, /* the walk's number: it is not wanted any more; what was asked of it is not answered */
	/* no payload; answered by FRAME_STATS with the same head.call, which counts every event acked before */
	FRAME_STATS_WANTED,
	FRAME_BARRIER, /* no payload; answered by an empty FRAME_REPLY: what was told before is known */
	FRAME_ADMIT, /* no payload: further front-ends may come in; each is sent FRAME_READY */
	/* a further front-end to the server */
	/* GenerationCommand without a path; answered by FRAME_REPLY: the workers have it, or why not */
	FRAME_GENERATION_WANTED,
	/* worker to server, worker to further front-end, further front-end to server */
	FRAME_READY = 64, /* Ready */
	FRAME_REPLY, /* to any FRAME_CALL_*: status 0 and the answer, or a gRPC status and a text */
	FRAME_GENERATION_LOADED, /* status and, when not 0, a text */
	FRAME_GENERATION_ACTIVATED, /* likewise */
	/* WorkerStats, of a front-end FrontEndStats; head.call is 0 unless it answers FRAME_STATS_WANTED */
	FRAME_STATS,
	FRAME_DRAINED, /* no payload; the worker exits after it */
};

struct frame_head {
	uint32_t bytes; /* of payload */
	uint16_t kind; /* enum frame_kind */
	uint16_t status; /* replies: gRPC status code; else 0 */
	uint64_t call; /* the server's number of the call; echoed by the reply */
	uint32_t timeout_ms; /* calls: time left until the client's deadline, UINT32_MAX: none; counted from arrival */
	uint32_t failed_users; /* replies to FRAME_CALL_RECOMMEND_MANY: those in it that have an error; else 0 */
};
_Static_assert(sizeof(struct frame_head) == 24, "the head is the wire format");

/*
 * Looks at the first frame of buffer[0..bytes). Returns its whole length (head and payload) when it is
 * complete, 0 when more bytes are needed, E_INVALID when the head is not valid (payload too long,
 * unknown kind). *head is filled when at least the head is there.
 */
int64_t frame_next(const uint8_t *buffer, size_t bytes, struct frame_head *head);

#endif
