#include "cli/export_state.h"

#include "cli/duration.h"
#include "common/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* How a part of the command is told to a person. */
enum given { GIVEN_TEXT, GIVEN_FLAG, GIVEN_NUMBER, GIVEN_SPAN, GIVEN_TIME };

static json_t *command_json(const struct export_command *command)
{
	static const char *const formats[] = { "ndjson", "csv" }, *const packings[] = { "none", "gzip", "zstd" };
	return json_pack("{s:s, s:s, s:s, s:s, s:i, s:b, s:I, s:I, s:I, s:I}", "definition", command->definition,
			 "filter", command->filter ? command->filter : "", "format", formats[command->format],
			 "compress", packings[command->packing], "count", (int)command->count, "with_names",
			 (int)command->names, "active_within_s", (json_int_t)command->active_s, "inactive_for_s",
			 (json_int_t)command->inactive_s, "as_of_ms", (json_int_t)command->as_of_ms, "generation",
			 (json_int_t)command->generation);
}

static void hex(const uint8_t *bytes, size_t size, char *text)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < size; i++) {
		*text++ = digits[bytes[i] >> 4];
		*text++ = digits[bytes[i] & 15];
	}
	*text = '\0';
}

json_t *export_state_json(const struct export_state *state, const struct export_command *command)
{
	static char cursor[EXPORT_CURSOR_MAX * 2 + 1];
	hex(state->cursor, state->cursor_bytes, cursor);
	return json_pack("{s:i, s:o, s:s, s:I, s:I}", "kindred_export", 1, "command", command_json(command), "cursor",
			 cursor, "users", (json_int_t)state->users, "failed", (json_int_t)state->failed);
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* False: it is not what hex() writes. */
static bool read_cursor(struct export_state *state, const char *text)
{
	size_t size = text != NULL ? strlen(text) : 1;
	if (size % 2 != 0 || size / 2 > sizeof state->cursor)
		return false;
	for (size_t i = 0; i < size / 2; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		state->cursor[i] = (uint8_t)(high << 4 | low);
	}
	state->cursor_bytes = size / 2;
	return true;
}

static const char *given_text(const json_t *value, enum given kind, char *text, size_t room)
{
	int64_t number = json_integer_value(value);
	switch (kind) {
	case GIVEN_TEXT:
		return !json_is_string(value)      ? "unknown"
		       : json_string_length(value) ? json_string_value(value)
						   : "not given";
	case GIVEN_FLAG:
		return json_is_true(value) ? "given" : "not given";
	case GIVEN_NUMBER:
	case GIVEN_SPAN:
		if (number <= 0)
			return "not given";
		if (kind == GIVEN_SPAN)
			return duration_text(number, text);
		snprintf(text, room, "%" PRId64, number);
		return text;
	case GIVEN_TIME:
		if (number < 0)
			return "not given";
		time_format(number, text);
		return text;
	}
	return "";
}

/* "--active-within was not given, and is 30d now" */
static int refuse_other(const char *progress, const char *key, const json_t *before, const json_t *now,
			struct error *err)
{
	static const struct {
		const char *key, *name;
		enum given kind;
	} all[] = {
		{ "definition", "the definition", GIVEN_TEXT },
		{ "filter", "--filter", GIVEN_TEXT },
		{ "format", "--format", GIVEN_TEXT },
		{ "compress", "--compress", GIVEN_TEXT },
		{ "count", "--count", GIVEN_NUMBER },
		{ "with_names", "--with-names", GIVEN_FLAG },
		{ "active_within_s", "--active-within", GIVEN_SPAN },
		{ "inactive_for_s", "--inactive-for", GIVEN_SPAN },
		{ "as_of_ms", "--as-of", GIVEN_TIME },
		{ "generation", "--generation", GIVEN_NUMBER },
	};
	char was[64], is[64];
	size_t at = 0;
	while (strcmp(all[at].key, key) != 0)
		at++;
	return error_set(err, E_INVALID,
			 "%s is of another command: %s was %s, and is %s now; say the same command again, or remove "
			 "the file to begin anew",
			 progress, all[at].name, given_text(before, all[at].kind, was, sizeof was),
			 given_text(now, all[at].kind, is, sizeof is));
}

int export_state_read(struct export_state *state, const json_t *saved, const struct export_command *command,
		      const char *progress, struct error *err)
{
	json_t *mine = command_json(command), *value, *theirs = json_object_get(saved, "command");
	const char *key;
	int code = 0;
	if (theirs && !json_object_get(theirs, "filter"))
		json_object_set_new(theirs, "filter", json_string("")); /* of a program that knew none */
	json_object_foreach(mine, key, value)
	{
		if (code == 0 && !json_equal(value, json_object_get(theirs, key)))
			code = refuse_other(progress, key, json_object_get(theirs, key), value, err);
	}
	json_decref(mine);
	if (code == 0 && !read_cursor(state, json_string_value(json_object_get(saved, "cursor"))))
		code = error_set(
			err, E_DATA_LOSS,
			"%s: its cursor cannot be read; remove it and the .part file beside it, and export anew",
			progress);
	state->users = (uint64_t)json_integer_value(json_object_get(saved, "users"));
	state->failed = (uint64_t)json_integer_value(json_object_get(saved, "failed"));
	return code;
}
