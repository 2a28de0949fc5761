#include "common/properties.h"
#include "common/shard_private.h"

#include <assert.h>
#include <string.h>

/* For shard_write_bytes: a put dirties about a leaf and what it hangs from. */
#define PAGE_BYTES 4096u

static int lost(struct shard_writer *writer, int code, const struct error *reason, struct error *err)
{
	writer->lost = *reason;
	writer->lost.code = code;
	if (err)
		*err = writer->lost;
	return code;
}

static int lost_to_lmdb(struct shard *shard, int rc, const char *what, struct error *err)
{
	struct error reason = { 0 };
	int code = store_error(shard->store, rc, &reason, what);
	return lost(shard->writer, code, &reason, err);
}

static int lost_before(const struct shard_writer *writer, struct error *err)
{
	if (err)
		*err = writer->lost;
	return writer->lost.code;
}

static int put(struct shard *shard, enum shard_database database, MDB_val key, MDB_val value, const char *what,
	       struct error *err)
{
	struct shard_writer *writer = shard->writer;
	int rc = mdb_put(writer->txn, shard->databases[database], &key, &value, 0);
	if (rc)
		return lost_to_lmdb(shard, rc, what, err);
	writer->bytes += (value.mv_size / PAGE_BYTES + 1) * PAGE_BYTES;
	return 0;
}

/* What is not there is deleted. */
static int erase(struct shard *shard, enum shard_database database, MDB_val key, const char *what, struct error *err)
{
	struct shard_writer *writer = shard->writer;
	int rc = mdb_del(writer->txn, shard->databases[database], &key, NULL);
	if (rc && rc != MDB_NOTFOUND)
		return lost_to_lmdb(shard, rc, what, err);
	writer->bytes += PAGE_BYTES;
	return 0;
}

/* --- the row held --- */

/* Room for a row of so many bytes, to be filled at once. */
static int reserve(struct shard *shard, MDB_val key, size_t bytes, void **room, struct error *err)
{
	struct shard_writer *writer = shard->writer;
	MDB_val value = { bytes, NULL };
	int rc = mdb_put(writer->txn, shard->databases[SHARD_HISTORY], &key, &value, MDB_RESERVE);
	if (rc)
		return lost_to_lmdb(shard, rc, "cannot write a history", err);
	writer->bytes += (bytes / PAGE_BYTES + 1) * PAGE_BYTES;
	*room = value.mv_data;
	return 0;
}

/* The row held, or, when it is long, its newest part, and its older one if that has changed. */
static int put_row(struct shard *shard, struct error *err)
{
	struct shard_writer *writer = shard->writer;
	struct history_division division = history_divide(writer->row, &writer->parts);
	char buffer[SHARD_OLDER_KEY_BYTES];
	MDB_val user = { writer->user_bytes, writer->user }, older = shard_older_key(buffer, user);
	void *room;
	int code = reserve(shard, user, division.newest_bytes, &room, err);
	if (code)
		return code;
	history_put_newest(&division, room);
	if (division.erase_older)
		return erase(shard, SHARD_HISTORY, older, "cannot write a history", err);
	if (!division.older)
		return 0;
	code = reserve(shard, older, division.older_bytes, &room, err);
	if (!code)
		history_put_older(&division, room);
	return code;
}

static int write_row(struct shard *shard, struct error *err)
{
	struct shard_writer *writer = shard->writer;
	if (!writer->changed)
		return 0;
	int code = put_row(shard, err);
	if (!code && writer->forgotten) {
		/* the row itself carries the floor from now on */
		struct user_key hash = user_key(writer->user, writer->user_bytes);
		code = erase(shard, SHARD_FORGOTTEN, (MDB_val){ sizeof hash, &hash }, "cannot write a history", err);
	}
	writer->changed = false;
	writer->stored = true;
	writer->forgotten = false;
	return code;
}

/* An empty row, of which nothing is stored. */
static void hold_nothing(struct shard_writer *writer, int64_t floor_ms)
{
	writer->row_bytes = history_empty(writer->row, floor_ms);
	writer->parts = (struct history_parts){ 0 };
}

/* For a user without a row: an empty one, with the floor of a deletion. */
static int start_row(struct shard *shard, struct error *err)
{
	struct shard_writer *writer = shard->writer;
	struct user_key hash = user_key(writer->user, writer->user_bytes);
	MDB_val key = { sizeof hash, &hash }, value;
	int64_t floor_ms = HISTORY_NO_FLOOR;
	int rc = mdb_get(writer->txn, shard->databases[SHARD_FORGOTTEN], &key, &value);
	if (rc && rc != MDB_NOTFOUND)
		return lost_to_lmdb(shard, rc, "cannot read a deletion", err);
	writer->forgotten = rc == 0;
	if (rc == 0 && value.mv_size == sizeof floor_ms)
		memcpy(&floor_ms, value.mv_data, sizeof floor_ms);
	writer->stored = false;
	hold_nothing(writer, floor_ms);
	return 0;
}

/* Loads what is stored of the user, whose row that is. E_DATA_LOSS: it is damaged. */
static int load_row(struct shard *shard, MDB_val user, MDB_val row, struct error *err)
{
	struct shard_writer *writer = shard->writer;
	struct history history;
	char buffer[SHARD_OLDER_KEY_BYTES];
	enum history_stored stored = history_open(&history, row.mv_data, row.mv_size);
	if (stored == HISTORY_IS_DIVIDED) {
		MDB_val key = shard_older_key(buffer, user), older;
		int rc = mdb_get(writer->txn, shard->databases[SHARD_HISTORY], &key, &older);
		if (rc && rc != MDB_NOTFOUND)
			return lost_to_lmdb(shard, rc, "cannot read a history", err);
		if (rc || !history_add_older(&history, older.mv_data, older.mv_size))
			stored = HISTORY_IS_DAMAGED;
	}
	if (stored == HISTORY_IS_DAMAGED)
		return shard_damaged(shard, user.mv_data, user.mv_size, err);
	writer->row_bytes = history_load(writer->row, &history, &writer->parts);
	return 0;
}

/* Makes the user's row the one held. E_DATA_LOSS: the row is damaged; the transaction goes on, and no row is held. */
static int hold_row(struct shard *shard, const char *user, size_t user_bytes, struct error *err)
{
	struct shard_writer *writer = shard->writer;
	if (writer->user_bytes == user_bytes && memcmp(writer->user, user, user_bytes) == 0)
		return 0;
	int code = write_row(shard, err);
	writer->user_bytes = 0;
	if (code)
		return code;
	if (user_bytes == 0 || user_bytes > USER_ID_MAX)
		return error_set(err, E_INVALID, "user_id: %zu bytes; 1 to %u are allowed", user_bytes, USER_ID_MAX);
	memcpy(writer->user, user, user_bytes);
	writer->user_bytes = user_bytes;
	MDB_val key = { user_bytes, writer->user }, value;
	int rc = mdb_get(writer->txn, shard->databases[SHARD_HISTORY], &key, &value);
	if (rc == MDB_NOTFOUND)
		return start_row(shard, err);
	if (rc)
		return lost_to_lmdb(shard, rc, "cannot read a history", err);
	writer->stored = true;
	writer->forgotten = false;
	code = load_row(shard, key, value, err);
	if (code)
		writer->user_bytes = 0;
	return code;
}

/* --- one event --- */

static int add_type(struct shard *shard, uint16_t number, const struct shard_event *event, struct error *err)
{
	struct shard_writer *writer = shard->writer;
	if (event_types_set(&writer->types, number, event->type, event->type_bytes)) {
		struct error reason;
		int code =
			error_set(&reason, E_EXHAUSTED, "%s: out of memory for event types", store_path(shard->store));
		return lost(writer, code, &reason, err);
	}
	MDB_val key = { event->type_bytes, (void *)event->type };
	return put(shard, SHARD_TYPES, key, (MDB_val){ sizeof number, &number }, "cannot write an event type", err);
}

/* The number of an event's type; the next free one when it is new (the event is refused when there is none). */
static int number_type(struct shard *shard, const struct shard_event *event, uint16_t *number, struct error *err)
{
	struct shard_writer *writer = shard->writer;
	*number = event_types_find(&writer->types, event->type, event->type_bytes);
	if (*number != EVENT_TYPE_NONE)
		return 0;
	if (writer->types.count >= SHARD_TYPES_MAX)
		return error_set(err, E_EXHAUSTED,
				 "type: \"%.*s\" would be one more than the %u different types that are allowed",
				 (int)event->type_bytes, event->type, SHARD_TYPES_MAX);
	*number = (uint16_t)writer->types.count;
	return 0;
}

static bool alike(const struct history_entry *a, const struct history_entry *b)
{
	return b->event.value == 0 && (b->flags & HISTORY_HAS_PROPERTIES) && a->item.value == b->item.value &&
	       a->type == b->type && memcmp(&a->weight, &b->weight, sizeof a->weight) == 0;
}

/* For an event with properties but no id: flags that no entry alike has, so that each keeps its own properties. */
static uint16_t twin_flags(const char *row, const struct history_entry *entry)
{
	uint16_t flags = entry->flags;
	for (uint32_t i = history_count(row); i > 0; i--) {
		struct history_entry other = history_entry_at(row, i - 1);
		if (other.time_ms < entry->time_ms)
			break;
		if (other.time_ms == entry->time_ms && alike(entry, &other) && other.flags >= flags)
			flags = (uint16_t)(other.flags + (1u << HISTORY_TWIN_SHIFT));
	}
	return flags;
}

static int put_properties(struct shard *shard, const struct history_entry *entry, size_t bytes, struct error *err)
{
	struct shard_writer *writer = shard->writer;
	unsigned char key[PROPERTIES_KEY_BYTES];
	properties_key(writer->user, writer->user_bytes, entry, key);
	return put(shard, SHARD_PROPERTIES, (MDB_val){ sizeof key, key }, (MDB_val){ bytes, writer->packed },
		   "cannot write properties", err);
}

static int delete_properties(struct shard *shard, uint32_t gone_count, struct error *err)
{
	struct shard_writer *writer = shard->writer;
	int code = 0;
	for (uint32_t i = 0; i < gone_count && !code; i++) {
		if (!(writer->gone[i].flags & HISTORY_HAS_PROPERTIES))
			continue;
		unsigned char key[PROPERTIES_KEY_BYTES];
		properties_key(writer->user, writer->user_bytes, &writer->gone[i], key);
		code = erase(shard, SHARD_PROPERTIES, (MDB_val){ sizeof key, key }, "cannot delete properties", err);
	}
	return code;
}

static void count_accepted(struct shard_writer *writer, int64_t time_ms, uint32_t gone_count)
{
	if (!writer->stored && !writer->changed)
		writer->counters.users++;
	writer->changed = true;
	writer->counters.accepted++;
	writer->counters.kept += 1;
	writer->counters.kept -= gone_count;
	if (time_ms > writer->counters.newest_event_ms)
		writer->counters.newest_event_ms = time_ms;
}

/*
 * The entry as it will stand in the row, which becomes the one held; *packed_bytes: of its properties,
 * in writer->packed.
 */
static int make_entry(struct shard *shard, const struct shard_event *event, struct history_entry *entry,
		      size_t *packed_bytes, struct error *err)
{
	struct shard_writer *writer = shard->writer;
	*entry = (struct history_entry){
		.item = event->item, .time_ms = event->time_ms, .event = event->event, .weight = event->weight
	};
	*packed_bytes = 0;
	if (event->property_count) {
		*packed_bytes = properties_pack(event->properties, event->property_count, writer->packed);
		if (!*packed_bytes)
			return error_set(err, E_INVALID, "properties: at most %u of at most %u bytes are allowed",
					 PROPERTIES_MAX, PROPERTY_BYTES_MAX);
		entry->flags = HISTORY_HAS_PROPERTIES;
	}
	int code = hold_row(shard, event->user, event->user_bytes, err);
	if (!code)
		code = number_type(shard, event, &entry->type, err);
	if (!code && entry->flags && entry->event.value == 0)
		entry->flags = twin_flags(writer->row, entry);
	return code;
}

static int append(struct shard *shard, const struct history_rules *rules, const struct shard_event *event,
		  const struct history_entry *entry, size_t packed_bytes, struct error *err)
{
	struct shard_writer *writer = shard->writer;
	uint32_t gone_count;
	int code = 0, outcome = history_append(writer->row, &writer->row_bytes, entry, rules, writer->gone,
					       HISTORY_CAP_MAX, &gone_count);
	if (outcome == HISTORY_DUPLICATE)
		writer->counters.duplicates++;
	if (outcome == HISTORY_DROPPED)
		writer->counters.dropped++;
	if (outcome != HISTORY_ACCEPTED)
		return outcome;
	history_parts_follow(&writer->parts, writer->row, entry->time_ms, gone_count);
	count_accepted(writer, entry->time_ms, gone_count);
	if (entry->type == writer->types.count)
		code = add_type(shard, entry->type, event, err);
	if (!code)
		code = delete_properties(shard, gone_count, err);
	if (!code && packed_bytes)
		code = put_properties(shard, entry, packed_bytes, err);
	return code ? code : outcome;
}

int shard_write_event(struct shard *shard, const struct history_rules *rules, const struct shard_event *event,
		      struct error *err)
{
	struct shard_writer *writer = shard->writer;
	if (writer->lost.code)
		return lost_before(writer, err);
	struct history_entry entry;
	size_t packed_bytes;
	int code = make_entry(shard, event, &entry, &packed_bytes, err);
	if (!code)
		return append(shard, rules, event, &entry, packed_bytes, err);
	if (!writer->lost.code)
		writer->counters.refused++;
	return code;
}

void shard_write_refused(struct shard *shard, uint64_t n)
{
	shard->writer->counters.refused += n;
}

bool shard_write_lost(const struct shard *shard)
{
	return shard->writer->lost.code != 0;
}

uint64_t shard_write_bytes(const struct shard *shard)
{
	const struct shard_writer *writer = shard->writer;
	return writer->bytes + (writer->changed ? writer->row_bytes + PAGE_BYTES : 0);
}

/* --- forgetting --- */

static int delete_all_properties(struct shard *shard, struct error *err)
{
	struct shard_writer *writer = shard->writer;
	struct history_entry nothing = { .event = { 1 } };
	unsigned char first[PROPERTIES_KEY_BYTES];
	properties_key(writer->user, writer->user_bytes, &nothing, first);
	MDB_cursor *cursor;
	int rc = mdb_cursor_open(writer->txn, shard->databases[SHARD_PROPERTIES], &cursor);
	if (rc)
		return lost_to_lmdb(shard, rc, "cannot delete properties", err);
	for (;;) {
		MDB_val key = { sizeof first, first }, value;
		rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
		if (rc || key.mv_size != sizeof first || memcmp(key.mv_data, first, sizeof(struct user_key)) != 0)
			break;
		rc = mdb_cursor_del(cursor, 0);
		if (rc)
			break;
		writer->bytes += PAGE_BYTES;
	}
	mdb_cursor_close(cursor);
	return rc && rc != MDB_NOTFOUND ? lost_to_lmdb(shard, rc, "cannot delete properties", err) : 0;
}

/* The time up to which the user's events are refused from now on: whatever was taken can not be sent again. */
static int64_t floor_of(const char *row, int64_t now_ms)
{
	struct history_head head;
	memcpy(&head, row, sizeof head);
	int64_t floor_ms = head.floor_ms > now_ms ? head.floor_ms : now_ms;
	if (head.count > 0) {
		int64_t newest_ms = history_entry_at(row, head.count - 1).time_ms;
		floor_ms = newest_ms > floor_ms ? newest_ms : floor_ms;
	}
	return floor_ms;
}

static int delete_history(struct shard *shard, int64_t floor_ms, struct error *err)
{
	struct shard_writer *writer = shard->writer;
	struct user_key hash = user_key(writer->user, writer->user_bytes);
	MDB_val user = { writer->user_bytes, writer->user };
	char buffer[SHARD_OLDER_KEY_BYTES];
	int code = erase(shard, SHARD_HISTORY, user, "cannot delete a history", err);
	if (!code)
		code = erase(shard, SHARD_HISTORY, shard_older_key(buffer, user), "cannot delete a history", err);
	if (!code)
		code = delete_all_properties(shard, err);
	if (!code)
		code = put(shard, SHARD_FORGOTTEN, (MDB_val){ sizeof hash, &hash },
			   (MDB_val){ sizeof floor_ms, &floor_ms }, "cannot write a deletion", err);
	return code;
}

int shard_write_forget(struct shard *shard, const char *user, size_t user_bytes, int64_t now_ms, bool *existed,
		       uint32_t *deleted, int64_t *oldest_ms, struct error *err)
{
	struct shard_writer *writer = shard->writer;
	*existed = false;
	*deleted = 0;
	if (writer->lost.code)
		return lost_before(writer, err);
	int code = hold_row(shard, user, user_bytes, err);
	if (code == E_DATA_LOSS && !writer->lost.code) {
		/* what can not be read can still be removed */
		memcpy(writer->user, user, user_bytes);
		writer->user_bytes = user_bytes;
		writer->stored = true;
		hold_nothing(writer, HISTORY_NO_FLOOR);
		code = 0;
	}
	if (code)
		return code;
	if (writer->stored || writer->changed) {
		*existed = true;
		*deleted = history_count(writer->row);
		if (*deleted)
			*oldest_ms = history_entry_at(writer->row, 0).time_ms;
		writer->counters.users--;
		writer->counters.kept -= *deleted;
	}
	int64_t floor_ms = floor_of(writer->row, now_ms);
	code = delete_history(shard, floor_ms, err);
	hold_nothing(writer, floor_ms);
	writer->stored = false;
	writer->changed = false;
	writer->forgotten = true;
	return code;
}

/* --- transactions --- */

static void over(struct shard_writer *writer, bool committed)
{
	if (committed) {
		writer->committed = writer->counters;
		writer->types_committed = writer->types.count;
	} else {
		writer->counters = writer->committed;
		event_types_truncate(&writer->types, writer->types_committed);
	}
	writer->txn = NULL;
	writer->lost.code = 0;
	writer->user_bytes = 0;
	writer->changed = false;
	writer->bytes = 0;
}

int shard_write_begin(struct shard *shard, struct error *err)
{
	assert(shard->writer && !shard->writer->txn);
	return store_write_begin(shard->store, &shard->writer->txn, err);
}

static int put_counters(struct shard *shard, struct error *err)
{
	struct shard_writer *writer = shard->writer;
	if (memcmp(&writer->counters, &writer->committed, sizeof writer->counters) == 0)
		return 0;
	return put(shard, SHARD_COUNTERS, (MDB_val){ 8, "counters" },
		   (MDB_val){ sizeof writer->counters, &writer->counters }, "cannot write counters", err);
}

int shard_write_commit(struct shard *shard, struct error *err)
{
	struct shard_writer *writer = shard->writer;
	int code = writer->lost.code ? lost_before(writer, err) : write_row(shard, err);
	if (!code)
		code = put_counters(shard, err);
	if (code) {
		store_write_abort(shard->store, writer->txn);
	} else {
		code = store_write_commit(shard->store, writer->txn, err);
	}
	over(writer, code == 0);
	return code;
}

void shard_write_abort(struct shard *shard)
{
	store_write_abort(shard->store, shard->writer->txn);
	over(shard->writer, false);
}
