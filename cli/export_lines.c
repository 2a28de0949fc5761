#include "cli/export_lines.h"

#include "common/wire.h"
#include "kindred/v1/recommend.pb-c.h"

#include <stdlib.h>
#include <string.h>

/* Field numbers are those of proto/kindred/v1/recommend.proto. */
enum { USER_ID = 1, USER_ITEM, USER_SHORTFALL, USER_ERROR_CODE, USER_ERROR };
enum { ITEM_ID = 1, ITEM_SCORE, ITEM_SOURCE, ITEM_NAME, ITEM_IMAGE };

#define ESCAPED_MAX 6 /* bytes that one byte of a text becomes at most: \u001f */
#define NUMBER_MAX 20

struct text {
	const char *bytes;
	size_t size;
};
struct item {
	struct text id, name, image;
	uint64_t score, source;
};

static const struct {
	const char *json, *csv;
} sources[] = {
	{ "SOURCE_UNSPECIFIED", "" },    { "SOURCE_PERSONAL", "personal" },
	{ "SOURCE_SIMILAR", "similar" }, { "SOURCE_TRENDING", "trending" },
	{ "SOURCE_POPULAR", "popular" }, { "SOURCE_RECENTLY_POPULAR", "recently_popular" },
	{ "SOURCE_EXPLORE", "explore" },
};
_Static_assert(sizeof sources / sizeof sources[0] == KINDRED__V1__SOURCE__SOURCE_EXPLORE + 1,
	       "each source has its names");
static const char *const shortfall_names[] = { "wanted",   "returned",    "candidates",      "excluded",
					       "filtered", "unavailable", "filtered_by_call" };
#define SHORTFALL_FIELDS (sizeof shortfall_names / sizeof shortfall_names[0])

void export_text_fini(struct export_text *text)
{
	free(text->bytes);
	*text = (struct export_text){ 0 };
}

static bool reserve(struct export_text *text, size_t extra)
{
	size_t room = text->room ? text->room : 4096;
	if (text->bytes != NULL && extra <= text->room - text->used)
		return true;
	while (room - text->used < extra)
		room *= 2;
	char *bytes = realloc(text->bytes, room);
	if (bytes == NULL)
		return false;
	text->bytes = bytes;
	text->room = room;
	return true;
}

/* --- writing where room was made; all return the end --- */

#define PUT(at, literal) put(at, literal, sizeof(literal) - 1)

static char *put(char *at, const char *text, size_t bytes)
{
	memcpy(at, text, bytes);
	return at + bytes;
}

static char *put_number(char *at, uint64_t number)
{
	char digits[NUMBER_MAX];
	size_t count = 0;
	do
		digits[NUMBER_MAX - ++count] = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	return put(at, digits + NUMBER_MAX - count, count);
}

static bool is_plain(unsigned char c)
{
	return c >= ' ' && c != '"' && c != '\\';
}

/* https://www.rfc-editor.org/rfc/rfc8259#section-7; the text is UTF-8, the server has seen to it. */
static char *put_json(char *at, struct text text)
{
	static const char hex[] = "0123456789abcdef";
	*at++ = '"';
	for (size_t i = 0; i < text.size;) {
		size_t plain = i;
		while (plain < text.size && is_plain((unsigned char)text.bytes[plain]))
			plain++;
		at = put(at, text.bytes + i, plain - i);
		if (plain == text.size)
			break;
		unsigned char c = (unsigned char)text.bytes[plain];
		*at++ = '\\';
		if (c == '"' || c == '\\') {
			*at++ = (char)c;
		} else {
			at = PUT(at, "u00");
			*at++ = hex[c >> 4];
			*at++ = hex[c & 15];
		}
		i = plain + 1;
	}
	*at++ = '"';
	return at;
}

/* https://www.rfc-editor.org/rfc/rfc4180 */
static char *put_csv(char *at, struct text text)
{
	bool quoted = false;
	for (size_t i = 0; i < text.size; i++)
		quoted |=
			text.bytes[i] == '"' || text.bytes[i] == ',' || text.bytes[i] == '\n' || text.bytes[i] == '\r';
	if (!quoted)
		return text.size ? put(at, text.bytes, text.size) : at;
	*at++ = '"';
	for (size_t i = 0; i < text.size; i++) {
		if (text.bytes[i] == '"')
			*at++ = '"';
		*at++ = text.bytes[i];
	}
	*at++ = '"';
	return at;
}

static char *put_name(char *at, const char *name)
{
	return put(at, name, strlen(name));
}

/* --- reading --- */

static uint64_t number_of(const struct wire_field *field)
{
	uint64_t value = 0;
	for (size_t i = 0; field->type == WIRE_VARINT && i < field->data_bytes; i++)
		value |= (uint64_t)(field->data[i] & 0x7f) << 7 * i;
	return value;
}

static struct text text_of(const struct wire_field *field)
{
	return (struct text){ (const char *)field->data, field->type == WIRE_BYTES ? field->data_bytes : 0 };
}

static int read_item(const struct wire_field *whole, struct item *item)
{
	struct wire_cursor cursor = { whole->data, whole->data + whole->data_bytes };
	struct wire_field field;
	int got;
	*item = (struct item){ .id.bytes = "" };
	while ((got = wire_next(&cursor, &field)) > 0) {
		switch (field.number) {
		case ITEM_ID:
			item->id = text_of(&field);
			break;
		case ITEM_SCORE:
			item->score = number_of(&field);
			break;
		case ITEM_SOURCE:
			item->source = number_of(&field);
			break;
		case ITEM_NAME:
			item->name = text_of(&field);
			break;
		case ITEM_IMAGE:
			item->image = text_of(&field);
			break;
		default:
			break;
		}
	}
	if (item->source >= sizeof sources / sizeof sources[0])
		item->source = 0;
	return got < 0 ? E_DATA_LOSS : 0;
}

/* A user without the items, which are read one by one as they are written. */
struct user {
	struct text id, error;
	uint64_t error_code;
	struct wire_field shortfall; /* data NULL: none */
	size_t items;
};

static int read_user(const uint8_t *message, size_t bytes, struct user *user)
{
	struct wire_cursor cursor = { message, message + bytes };
	struct wire_field field;
	int got;
	*user = (struct user){ .id.bytes = "" };
	while ((got = wire_next(&cursor, &field)) > 0) {
		if (field.number == USER_ITEM && field.type == WIRE_BYTES)
			user->items++;
		else if (field.number == USER_ID)
			user->id = text_of(&field);
		else if (field.number == USER_SHORTFALL && field.type == WIRE_BYTES)
			user->shortfall = field;
		else if (field.number == USER_ERROR_CODE)
			user->error_code = number_of(&field);
		else if (field.number == USER_ERROR)
			user->error = text_of(&field);
	}
	return got < 0 ? E_DATA_LOSS : 0;
}

/* --- NDJSON --- */

static char *json_item(char *at, const struct item *item)
{
	at = PUT(at, "{\"item_id\":");
	at = put_json(at, item->id);
	at = PUT(at, ",\"score\":");
	at = put_number(at, item->score);
	at = PUT(at, ",\"source\":\"");
	at = put_name(at, sources[item->source].json);
	*at++ = '"';
	if (item->name.size > 0) {
		at = PUT(at, ",\"name\":");
		at = put_json(at, item->name);
	}
	if (item->image.size > 0) {
		at = PUT(at, ",\"image_url\":");
		at = put_json(at, item->image);
	}
	*at++ = '}';
	return at;
}

static char *json_shortfall(char *at, const struct wire_field *shortfall)
{
	struct wire_cursor cursor = { shortfall->data, shortfall->data + shortfall->data_bytes };
	struct wire_field field;
	uint64_t numbers[SHORTFALL_FIELDS] = { 0 };
	bool first = true;
	/* each is written once, however often it is there */
	while (wire_next(&cursor, &field) > 0)
		if (field.number >= 1 && field.number <= SHORTFALL_FIELDS)
			numbers[field.number - 1] = number_of(&field);
	at = PUT(at, ",\"shortfall\":{");
	for (size_t i = 0; i < SHORTFALL_FIELDS; i++) {
		if (numbers[i] == 0)
			continue;
		if (!first)
			*at++ = ',';
		first = false;
		*at++ = '"';
		at = put_name(at, shortfall_names[i]);
		at = PUT(at, "\":");
		at = put_number(at, numbers[i]);
	}
	*at++ = '}';
	return at;
}

static char *json_user(char *at, const struct user *user, struct wire_cursor items, int *code)
{
	struct wire_field field;
	struct item item;
	bool first = true;
	at = PUT(at, "{\"user_id\":");
	at = put_json(at, user->id);
	if (user->error_code == 0)
		at = PUT(at, ",\"items\":[");
	while (user->error_code == 0 && wire_next(&items, &field) > 0) {
		if (field.number != USER_ITEM || field.type != WIRE_BYTES)
			continue;
		if (read_item(&field, &item) != 0)
			*code = E_DATA_LOSS;
		if (!first)
			*at++ = ',';
		first = false;
		at = json_item(at, &item);
	}
	if (user->error_code == 0) {
		*at++ = ']';
	} else {
		at = PUT(at, ",\"error_code\":");
		at = put_number(at, user->error_code);
		at = PUT(at, ",\"error\":");
		at = put_json(at, user->error);
	}
	if (user->shortfall.data != NULL)
		at = json_shortfall(at, &user->shortfall);
	return PUT(at, "}\n");
}

/* --- CSV --- */

static char *csv_item(char *at, const struct user *user, uint64_t rank, const struct item *item, bool names)
{
	at = put_csv(at, user->id);
	*at++ = ',';
	at = put_number(at, rank);
	*at++ = ',';
	at = put_csv(at, item->id);
	*at++ = ',';
	at = put_number(at, item->score);
	*at++ = ',';
	at = put_name(at, sources[item->source].csv);
	if (names) {
		*at++ = ',';
		at = put_csv(at, item->name);
		*at++ = ',';
		at = put_csv(at, item->image);
	}
	*at++ = '\n';
	return at;
}

static char *csv_user(char *at, const struct user *user, struct wire_cursor items, bool names, int *code)
{
	struct wire_field field;
	struct item item;
	uint64_t rank = 0;
	while (user->error_code == 0 && wire_next(&items, &field) > 0) {
		if (field.number != USER_ITEM || field.type != WIRE_BYTES)
			continue;
		if (read_item(&field, &item) != 0)
			*code = E_DATA_LOSS;
		at = csv_item(at, user, ++rank, &item, names);
	}
	if (rank > 0)
		return at;
	at = put_csv(at, user->id);
	at = names ? PUT(at, ",,,,,,") : PUT(at, ",,,,");
	at = put_csv(at, user->error);
	*at++ = '\n';
	return at;
}

/* --- both --- */

int export_head(struct export_text *out, enum export_format format, bool names)
{
	const char *head =
		names ? "user_id,rank,item_id,score,source,name,image_url\n" : "user_id,rank,item_id,score,source\n";
	if (format != EXPORT_CSV)
		return 0;
	if (!reserve(out, strlen(head)))
		return E_EXHAUSTED;
	out->used = (size_t)(put_name(out->bytes + out->used, head) - out->bytes);
	return 0;
}

int export_user(struct export_text *out, enum export_format format, bool names, const uint8_t *message, size_t bytes,
		bool *failed)
{
	struct wire_cursor items = { message, message + bytes };
	struct user user;
	int code = read_user(message, bytes, &user);
	if (code != 0)
		return code;
	/* Every byte escaped, and what stands around it; in CSV the user's id stands in each row. */
	size_t most = bytes * ESCAPED_MAX + (user.items + 1) * (user.id.size * 2 + 128) + 512;
	if (!reserve(out, most))
		return E_EXHAUSTED;
	char *start = out->bytes + out->used, *at;
	if (format == EXPORT_CSV)
		at = csv_user(start, &user, items, names, &code);
	else
		at = json_user(start, &user, items, &code);
	*failed = user.error_code != 0;
	if (code == 0)
		out->used = (size_t)(at - out->bytes);
	return code;
}
