#include "cli/source_guess.h"

#include <stdlib.h>
#include <string.h>

static bool begins(const char *text, size_t bytes, const char *with, size_t length)
{
	return bytes >= length && memcmp(text, with, length) == 0;
}

int source_is_text(const char *text, size_t bytes, struct error *err)
{
	if (begins(text, bytes, "\xff\xfe", 2) || begins(text, bytes, "\xfe\xff", 2))
		return error_set(err, E_DATA_LOSS,
				 "the file is UTF-16; convert it to UTF-8 first: `iconv -f UTF-16 -t UTF-8`");
	/*
	 * A packed file is unpacked by cli/input.c when it can look at it first; what comes through a
	 * pipe it cannot.
	 */
	if (begins(text, bytes, "\x1f\x8b", 2) || begins(text, bytes, "\x28\xb5\x2f\xfd", 4))
		return error_set(err, E_DATA_LOSS,
				 "the input is packed: give the file's name, or unpack it on the way (`zstd -dc` or "
				 "`gzip -dc`)");
	/* ZIP and the compound file of Office, https://en.wikipedia.org/wiki/List_of_file_signatures */
	if (begins(text, bytes, "PK\x03\x04", 4) || begins(text, bytes, "\xd0\xcf\x11\xe0", 4))
		return error_set(err, E_DATA_LOSS,
				 "it is a spreadsheet or a ZIP archive; save it as CSV (in UTF-8), or unzip it first");
	return 0;
}

const char *source_delimiter_guess(const char *text, size_t bytes)
{
	static const char *const usual[] = { ",", "\t", ";", "|" };
	const char *end = memchr(text, '\n', bytes);
	size_t length = end != NULL ? (size_t)(end - text) : bytes;
	if (memmem(text, length, "::", 2) != NULL)
		return "::";
	size_t best = 0, most = 0;
	for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
		size_t count = 0;
		for (size_t at = 0; at < length; at++)
			count += text[at] == usual[i][0];
		if (count > most) {
			most = count;
			best = i;
		}
	}
	return usual[best];
}

bool source_is_json_array(const char *text, size_t bytes, enum source_format format)
{
	size_t at = 0, brackets = 0;
	while (at < bytes && (strchr(" \t\r\n", text[at]) != NULL || (text[at] == '[' && brackets++ == 0)))
		at++;
	if (brackets == 0 || (format != SOURCE_GUESS && format != SOURCE_NDJSON))
		return false;
	return format == SOURCE_NDJSON || at == bytes || text[at] == '{' || text[at] == ']';
}

bool source_is_header(const struct field *fields, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char *end;
		strtod(fields[i].text, &end);
		if (fields[i].bytes > 0 && *end == '\0')
			return false;
	}
	return true;
}
