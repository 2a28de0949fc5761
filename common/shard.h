/*
 * One shard: the LMDB environment <data>/shards/NNN that holds the histories of its users. The worker
 * that owns the shard is its only writer (one thread writes, another may read at the same time); the
 * builder and offline commands read.
 *
 * Databases:
 *
 *     "history"     user id -> row; right behind it, when the history is long, the row of its older part
 *                   (common/history_parts.h)
 *     "types"       event type -> number
 *     "properties"  (user, event) -> properties as given (common/properties.h)
 *     "forgotten"   XXH3_128 of the id of a deleted user -> time up to which events are dropped
 *     "counters"    struct shard_counters, written in the same transaction as the events they count, so
 *                   that they are exact over any crash
 *
 * What it costs, in CPU (measured, 20,000 users, rows of about 30): an event 4 to 5 us in commits of
 * 1,000 and 7 to 8 us in commits of 100, spread over users at random; 1.1 us when ten of a user follow
 * each other; about 160 us alone, nearly all of it the flush. Two properties double it. A history's
 * last 30: under 1 us.
 *
 * Modules: shard.c (opening), shard_write.c, shard_read.c; common/event_types.h and common/properties.h
 * are their pure parts. lmdb.h is included there and in control*.c only (through common/store.h).
 *
 * Call order of a writer:
 *     shard_open -> { shard_write_begin -> shard_write_event.. -> shard_write_commit }.. -> shard_close
 * Call order of a reader:
 *     shard_open -> shard_reader_open -> { shard_read_begin -> shard_read_history.. -> shard_read_end }..
 *     -> shard_reader_close
 */
#ifndef KINDRED_SHARD_H
#define KINDRED_SHARD_H

#include "common/error.h"
#include "common/history_parts.h"

#include <stdbool.h>

#define SHARD_TYPES_MAX 1000
/*
 * A transaction is better ended past this many bytes (shard_write_bytes): LMDB keeps what is written in
 * memory until then.
 */
#define SHARD_TRANSACTION_BYTES (UINT64_C(64) << 20)

enum shard_durability { SHARD_SYNC = 0, SHARD_NOMETASYNC = 1, SHARD_NOSYNC = 2 };

struct shard_options {
	uint64_t map_bytes; /* address space; the file grows as needed up to it */
	enum shard_durability durability;
	bool read_only; /* another process writes */
};

struct shard_counters {
	uint64_t users; /* with a history */
	uint64_t accepted; /* events ever accepted, each once */
	uint64_t kept; /* of those, still in histories */
	uint64_t duplicates;
	uint64_t dropped;
	uint64_t refused;
	int64_t newest_event_ms; /* INT64_MIN: none */
};

struct shard;
struct shard_reader;

/*
 * path: the shard's directory; made when missing (not when read_only; nor its parents). Errors: those
 * of store_open, and E_UNIMPLEMENTED: written in a newer format. E_UNAVAILABLE (another process writes
 * to it; its pid is in the text) comes after 3 seconds, so that a killed predecessor may end.
 * E_NOT_FOUND: read_only, and its writer has not made it yet.
 */
int shard_open(struct shard **shard, const char *path, const struct shard_options *options, struct error *err);
void shard_close(struct shard *shard);

/* --- writing: one thread at a time --- */

struct shard_property {
	const char *name;
	size_t name_bytes;
	const char *value;
	size_t value_bytes;
};

/* One event that was checked at the edge (ids, UTF-8, sizes, time, weight). */
struct shard_event {
	const char *user;
	size_t user_bytes;
	const char *type;
	size_t type_bytes;
	struct item_key item;
	int64_t time_ms;
	struct event_key event;
	float weight;
	const struct shard_property *properties;
	size_t property_count;
};

int shard_write_begin(struct shard *shard, struct error *err);
/*
 * Returns an outcome > 0 (enum history_outcome), or an error, after which this event changed nothing.
 * Events of one user are cheapest when they follow each other (the row is held between calls and
 * written once).
 *
 * The transaction goes on, and the event's neighbours with it, after E_EXHAUSTED because the 1,000
 * event types are used up, after E_DATA_LOSS because this user's row is damaged, and after E_INVALID
 * (what the edge should have refused); the event is then counted as refused. After any other error (map
 * or disk full, memory) the transaction is lost: every later call and the commit return that same
 * error, and nothing of it is there; shard_write_lost() tells the two apart. A row is written after its
 * call has returned, so a full map may be reported by a later event's call, or by the commit.
 */
int shard_write_event(struct shard *shard, const struct history_rules *rules, const struct shard_event *event,
		      struct error *err);
bool shard_write_lost(const struct shard *shard);
/* About how much memory the transaction takes. Commit when it passes SHARD_TRANSACTION_BYTES. */
uint64_t shard_write_bytes(const struct shard *shard);
/* Counts n events refused at the edge. */
void shard_write_refused(struct shard *shard, uint64_t n);
/*
 * Forgets a user: history and properties go; events up to now_ms (up to the newest event forgotten,
 * when that is later) are dropped from then on, so that none can be sent again. *deleted: events
 * removed; *oldest_ms: time of the oldest of them, set when *existed. Returns 0, also when there was no
 * history (*existed false). A damaged row is removed too (*deleted 0). Errors: the transaction is lost,
 * see above.
 */
int shard_write_forget(struct shard *shard, const char *user, size_t user_bytes, int64_t now_ms, bool *existed,
		       uint32_t *deleted, int64_t *oldest_ms, struct error *err);
/*
 * Durable when it returns 0 (as far as the durability option says). The transaction is over either way;
 * after an error nothing of it is there, its counts included.
 */
int shard_write_commit(struct shard *shard, struct error *err);
void shard_write_abort(struct shard *shard);

/* --- reading: each thread its own reader; sees what was committed before shard_read_begin --- */

int shard_reader_open(struct shard *shard, struct shard_reader **reader, struct error *err);
void shard_reader_close(struct shard_reader *reader);
int shard_read_begin(struct shard_reader *reader, struct error *err); /* cheap: a renewed transaction */
void shard_read_end(struct shard_reader *reader);

/*
 * *history points into the map, valid until shard_read_end. E_NOT_FOUND: none; that is no error, and *err stays as it
 * is: half of a campaign's users may have none. E_DATA_LOSS: it is damaged.
 */
int shard_read_history(struct shard_reader *reader, const char *user, size_t user_bytes, struct history *history,
		       struct error *err);
/*
 * The properties of an entry, in the order given; count is limited by room. Not NUL-terminated.
 * Pointers live until shard_read_end. Returns the count.
 */
size_t shard_read_properties(struct shard_reader *reader, const char *user, size_t user_bytes,
			     const struct history_entry *entry, struct shard_property *properties, size_t room);
/*
 * The number of an event type: UINT16_MAX when the shard never saw it. The name of a number: NULL when
 * there is none; lives until shard_reader_close. Both cheap (cached; refreshed when a read sees newer
 * types), both between shard_read_begin and shard_read_end.
 */
uint16_t shard_read_type(struct shard_reader *reader, const char *type, size_t bytes);
const char *shard_read_type_name(struct shard_reader *reader, uint16_t type);
int shard_read_counters(struct shard_reader *reader, struct shard_counters *counters, struct error *err);
/* Nothing more is read or written until the shard is opened anew: store_broken(). Any thread. */
bool shard_broken(const struct shard *shard);
/* Bytes the shard's file uses. Any thread. */
uint64_t shard_file_bytes(struct shard *shard);

/*
 * Gives up to `limit` users to each(), in key order from behind the cursor ({ 0 } at first, kept by the caller
 * between calls), within the running read transaction. each() returning non-zero stops the walk with that
 * value. Returns 0 and *done = true at the end. E_DATA_LOSS with cursor->damaged set: one damaged row, whose
 * user is in the text; the next call goes on behind it. E_DATA_LOSS without: the file itself is damaged. A
 * long scan calls shard_read_end / shard_read_begin between portions, so that no long reader holds back page
 * reuse.
 */
struct shard_cursor {
	char user[USER_ID_MAX];
	uint32_t bytes; /* 0: at the start */
	bool damaged; /* the row it is at; set by every call */
};
int shard_read_users(struct shard_reader *reader, struct shard_cursor *cursor, size_t limit,
		     int (*each)(void *context, const char *user, size_t user_bytes, const struct history *history),
		     void *context, bool *done, struct error *err);

#endif
