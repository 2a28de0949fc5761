#include "common/log.h"
#include "common/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* PIPE_BUF: a write of at most this many bytes to a pipe is not mixed with another's. */
#define LINE_MAX_BYTES 4096

static const char *const level_names[] = { "error", "warning", "info", "debug" };
static char speaker[32] = "kindred";
static enum log_level threshold = LOG_INFO;

void log_init(const char *who, enum log_level level)
{
	snprintf(speaker, sizeof speaker, "%s", who);
	threshold = level;
}

enum log_level log_level_now(void)
{
	return threshold;
}

int log_level_parse(const char *name)
{
	for (int i = 0; i <= LOG_DEBUG; i++)
		if (strcmp(name, level_names[i]) == 0)
			return i;
	return -1;
}

/* A line is a line, whatever is quoted in it. */
static void one_line(char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			text[i] = ' ';
}

static size_t write_head(char *line, size_t room, enum log_level level)
{
	char time[32];
	int64_t now_ms = clock_wall_ms();
	int ms = (int)(now_ms % 1000);
	size_t length = time_format(now_ms - ms, time);
	/* the final Z moves behind the milliseconds, which lines always have */
	return (size_t)snprintf(line, room, "%.*s.%03dZ %s %s ", (int)length - 1, time, ms, level_names[level],
				speaker);
}

void log_write(enum log_level level, const char *format, ...)
{
	if (level > threshold)
		return;
	int saved = errno;
	char line[LINE_MAX_BYTES];
	size_t head = write_head(line, sizeof line, level);
	va_list args;
	va_start(args, format);
	errno = saved; /* for %m */
	int length = vsnprintf(line + head, sizeof line - head, format, args);
	va_end(args);
	if (length >= 0) {
		size_t bytes = head + (size_t)length;
		if (bytes > sizeof line - 1)
			bytes = sizeof line - 1;
		one_line(line + head, bytes - head);
		line[bytes] = '\n';
		/* nowhere to complain when stderr itself does not take it */
		ssize_t written = write(STDERR_FILENO, line, bytes + 1);
		(void)written;
	}
	errno = saved;
}
