#include "cli/text.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define NAMES_SHOWN 3

const char *text_count(uint64_t number, char *buffer)
{
	char digits[24];
	int count = snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
	size_t at = 0;
	for (int i = 0; i < count; i++) {
		if (i > 0 && (count - i) % 3 == 0)
			buffer[at++] = ',';
		buffer[at++] = digits[i];
	}
	buffer[at] = '\0';
	return buffer;
}

const char *text_s(uint64_t number)
{
	return number == 1 ? "" : "s";
}

const char *text_names(char *const *names, size_t count, char *buffer, size_t room)
{
	size_t shown = count > NAMES_SHOWN + 1 ? NAMES_SHOWN : count, at = 0;
	buffer[0] = '\0';
	for (size_t i = 0; i < shown && at < room; i++)
		at += (size_t)snprintf(buffer + at, room - at, "%s%s", i ? ", " : "", names[i]);
	if (shown < count && at < room)
		snprintf(buffer + at, room - at, " and %zu more", count - shown);
	return buffer;
}

const char *text_bytes(uint64_t bytes, char *buffer)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
	if (bytes < 1024) {
		snprintf(buffer, TEXT_MAX, "%llu B", (unsigned long long)bytes);
		return buffer;
	}
	double size = (double)bytes / 1024;
	size_t unit = 0;
	for (; size >= 1024 && unit < 3; unit++)
		size /= 1024;
	snprintf(buffer, TEXT_MAX, "%.1f %s", size, units[unit]);
	return buffer;
}

const char *text_number(double number, char *buffer)
{
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(buffer, TEXT_MAX, "%.*g", digits, number);
		if (strtod(buffer, NULL) == number)
			break;
	}
	return buffer;
}

const char *text_elapsed(double seconds, char *buffer)
{
	if (seconds < 1)
		snprintf(buffer, TEXT_MAX, "%.1f ms", seconds * 1000);
	else if (seconds < 60)
		snprintf(buffer, TEXT_MAX, "%.1f s", seconds);
	else if (seconds < 3600)
		snprintf(buffer, TEXT_MAX, "%d min %d s", (int)(seconds / 60), (int)seconds % 60);
	else
		snprintf(buffer, TEXT_MAX, "%d h %d min", (int)(seconds / 3600), (int)(seconds / 60) % 60);
	return buffer;
}

/* The character at the start of the text: its bytes, and its code point. What is not UTF-8 is one byte, U+FFFD. */
static size_t character(const char *text, size_t bytes, uint32_t *code)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t length = at[0] < 0x80 ? 1 : at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : at[0] >= 0xc0 ? 2 : 0;
	*code = 0xfffd;
	if (length == 0 || length > bytes)
		return 1;
	if (length == 1) {
		*code = at[0];
		return 1;
	}
	uint32_t value = at[0] & (0x7fu >> length);
	for (size_t i = 1; i < length; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 1;
		value = value << 6 | (at[i] & 0x3fu);
	}
	*code = value;
	return length;
}

static size_t code_width(uint32_t code)
{
	/* wcwidth knows widths in a UTF-8 locale only, and C.UTF-8 is on every Debian. */
	static locale_t utf8;
	if (code < 0x80)
		return code >= ' ' && code != 127;
	if (utf8 == 0)
		utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", 0);
	if (utf8 == 0)
		return 1;
	locale_t before = uselocale(utf8);
	int width = wcwidth((wchar_t)code);
	uselocale(before);
	return width < 0 ? 1 : (size_t)width;
}

size_t text_width(const char *text, size_t bytes)
{
	size_t width = 0;
	for (size_t at = 0; at < bytes;) {
		uint32_t code;
		at += character(text + at, bytes - at, &code);
		width += code_width(code);
	}
	return width;
}

size_t text_fit(const char *text, size_t bytes, size_t columns)
{
	size_t width = 0, at = 0;
	while (at < bytes) {
		uint32_t code;
		size_t length = character(text + at, bytes - at, &code);
		width += code_width(code);
		if (width > columns)
			break;
		at += length;
	}
	return at;
}

void text_write(FILE *out, const char *text)
{
	for (; *text != '\0'; text++)
		fputc((unsigned char)*text < ' ' || *text == 127 ? '?' : *text, out);
}

void text_escape(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char byte = (unsigned char)*text;
		if (byte == '\n' || byte == '\t')
			fputs(byte == '\n' ? "\\n" : "\\t", out);
		else if (byte < ' ' || byte == 127)
			fprintf(out, "\\x%02x", byte);
		else
			fputc(byte, out);
	}
}

const char *text_quote(const char *text, size_t bytes, char *buffer)
{
	size_t out = 0, at = 0;
	for (unsigned characters = 0; at < bytes && characters < 40; characters++) {
		uint32_t code;
		size_t length = character(text + at, bytes - at, &code);
		if (code < ' ' || code == 127 || code == 0xfffd) {
			buffer[out++] = '?';
		} else {
			memcpy(buffer + out, text + at, length);
			out += length;
		}
		at += length;
	}
	if (at < bytes) {
		memcpy(buffer + out, "...", 3);
		out += 3;
	}
	buffer[out] = '\0';
	return buffer;
}
