#include "common/prose.h"

#include <string.h>

static void go_to(FILE *out, size_t at, size_t column)
{
	if (at && at >= column) {
		fputc('\n', out);
		at = 0;
	}
	fprintf(out, "%*s", (int)(column - at), "");
}

void prose_fill(FILE *out, const char *text, size_t at, size_t indent)
{
	size_t column = indent;

	go_to(out, at, indent);
	text += strspn(text, " ");
	while (*text) {
		size_t word = strcspn(text, " ");

		if (column > indent && column + 1 + word > PROSE_WIDTH) {
			go_to(out, column, indent);
			column = indent;
		}
		column += (size_t)fprintf(out, "%s%.*s", column > indent ? " " : "", (int)word, text);
		text += word;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}
