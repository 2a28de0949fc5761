/* Small pieces of text for people: counts, sizes, times, quoted values. Pure. */
#ifndef KINDRED_CLI_TEXT_H
#define KINDRED_CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TEXT_MAX 48 /* room that each of these needs at least */

/* "1,044,847". All return the buffer. */
const char *text_count(uint64_t number, char *buffer);
/* The end of a noun behind a number: "1 item", "2 items". */
const char *text_s(uint64_t number);
/* "a, b, c and 4 more": the first few of many names, all when there are hardly more. Cut at the end of the buffer. */
const char *text_names(char *const *names, size_t count, char *buffer, size_t room);
/* "512 B", "1.5 MiB" */
const char *text_bytes(uint64_t bytes, char *buffer);
/* A number as short as it is exact enough to read back: "3", "0.25". */
const char *text_number(double number, char *buffer);
/* "0.8 ms", "1.2 s", "3 min 20 s" */
const char *text_elapsed(double seconds, char *buffer);

/*
 * A value of a file for an error text: at most 40 characters, whole ones, without control characters;
 * "..." when it was cut.
 */
#define TEXT_QUOTE_MAX 200
const char *text_quote(const char *text, size_t bytes, char *buffer);

/* Writes a text from elsewhere so that it cannot steer the terminal: control characters as '?'. */
void text_write(FILE *out, const char *text);
/* The same where each byte matters: control characters as \n, \t, \x1b. */
void text_escape(FILE *out, const char *text);

/* Columns of a terminal that the text takes: wide and combining characters counted as they are shown. */
size_t text_width(const char *text, size_t bytes);
/* How many bytes of it fit in so many columns (whole characters). */
size_t text_fit(const char *text, size_t bytes, size_t columns);

#endif
