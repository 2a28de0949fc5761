/* Small readers of texts that people write: times, spans of time, numbers, ids, parameters of the configuration. */
#include "cli/columns.h"
#include "cli/duration.h"
#include "cli/text.h"
#include "cli/types.h"
#include "common/clock.h"
#include "common/config.h"
#include "common/ids.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void fuzz_time(const char *text, size_t bytes)
{
	int64_t time_ms, again_ms;
	char formatted[32];
	if (!time_parse(text, bytes, &time_ms))
		return;
	check(time_ms >= TIME_MIN_MS && time_ms <= TIME_MAX_MS);
	size_t length = time_format(time_ms, formatted);
	check(length == strlen(formatted) && time_parse(formatted, length, &again_ms) && again_ms == time_ms);
}

static void fuzz_duration(const char *text)
{
	char formatted[DURATION_TEXT_MAX];
	int64_t seconds, again;
	if (duration_parse("window", text, &seconds, NULL) == 0 && seconds != 0)
		check(seconds > 0 && duration_parse("window", duration_text(seconds, formatted), &again, NULL) == 0 &&
		      again == seconds);
}

static void fuzz_types(const char *text, size_t bytes, const struct notation *notation)
{
	const struct field field = { .text = text, .bytes = bytes };
	struct type_counts counts = { 0 };
	char hint[TYPE_HINT_MAX];
	bool truth;
	type_see(&counts, &field, "|", notation);
	type_hint(&counts, type_decide(&counts), notation, hint);
	boolean_parse(text, bytes, &truth);
}

/* A number is finite, and written with a comma it is the same. */
static void fuzz_number(const char *text, size_t bytes, const struct notation *notation)
{
	struct field field = { .text = text, .bytes = bytes };
	char help[NOTATION_HELP_MAX], room[TEXT_MAX];
	double number, again;
	check(strlen(notation_number_help(notation, text, bytes, help)) < sizeof help);
	if (!notation_number(notation, &field, &number))
		return;
	check(isfinite(number));
	field = (struct field){ .text = text_number(number, room), .bytes = strlen(room) };
	char *point = strchr(room, '.');
	if (notation->decimal_comma && point != NULL)
		*point = ',';
	check(notation_number(notation, &field, &again) && again == number);
}

static void fuzz_notation(const char *text, size_t bytes)
{
	const struct notation notations[] = {
		{ 0 },
		{ .thousands = ',', .units = { "$" }, .unit_count = 1 },
		{ .decimal_comma = true, .thousands = '\'' },
		{ .decimal_comma = true,
		  .units = { "EUR", "\xe2\x82\xac" },
		  .unit_count = 2,
		  .time_formats = { "%d.%m.%Y", "%d.%m.%Y %H:%M %z", "%m/%d/%Y" },
		  .time_format_count = 3 },
	};
	for (size_t i = 0; i < sizeof notations / sizeof *notations; i++) {
		char help[NOTATION_HELP_MAX];
		int64_t time_ms;
		fuzz_types(text, bytes, &notations[i]);
		fuzz_number(text, bytes, &notations[i]);
		check(strlen(notation_time_help(&notations[i], text, bytes, help)) < sizeof help);
		if (notation_time(&notations[i], text, bytes, &time_ms))
			check(time_ms >= CALENDAR_MIN_MS && time_ms <= TIME_MAX_MS);
	}
}

/* Any header gives a name that the server takes. */
static void fuzz_header(const char *text, size_t bytes)
{
	char name[NAME_MAX_BYTES + 1];
	if (bytes > SIZE_MAX - 1 || !utf8_valid(text, bytes))
		return;
	attribute_name_make(text, name);
	check(attribute_name_check("name", name, strlen(name), NULL) == 0);
}

static void fuzz_config(const char *text)
{
	static struct config config;
	struct error err = { 0 };
	unsigned count;
	const struct config_parameter *parameters = config_parameters(&count);
	if (!config.listen)
		check(config_init(&config, &err) == 0);
	int code = config_set(&config, parameters[(unsigned char)text[0] % count].name, text, &err);
	check(code == 0 || (code == E_INVALID && err.text[0]));
	config_fini(&config);
	memset(&config, 0, sizeof config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	char *text = malloc(bytes + 1);
	check(text != NULL);
	memcpy(text, data, bytes);
	text[bytes] = '\0';
	struct error err = { 0 };
	fuzz_time((const char *)data, bytes);
	fuzz_notation((const char *)data, bytes);
	fuzz_duration(text);
	fuzz_header(text, strlen(text));
	fuzz_config(text);
	if (id_check("id", (const char *)data, bytes, 256, &err))
		check(err.text[0] && utf8_valid(err.text, strlen(err.text)));
	else
		check(bytes > 0 && bytes <= 256 && strlen(text) == bytes);
	name_check("name", (const char *)data, bytes, &err);
	free(text);
	return 0;
}
