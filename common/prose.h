/* Prose for people in a terminal: words filled into lines. For tables of a --help that argp does not make. Pure. */
#ifndef KINDRED_PROSE_H
#define KINDRED_PROSE_H

#include <stddef.h>
#include <stdio.h>

/* The longest line. Where prose is given to argp, it breaks longer ones. */
#define PROSE_WIDTH 78

/*
 * Writes the words of the text, and a newline. `at` columns of the line are written already; the text
 * begins at column `indent`, on a line of its own when `at` leaves no blank before it, and so do the
 * lines that follow. A word is never cut.
 */
void prose_fill(FILE *out, const char *text, size_t at, size_t indent);

#endif
