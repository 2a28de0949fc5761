#include "cli/progress.h"

#include "cli/table.h"
#include "cli/text.h"
#include "common/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SECOND_NS UINT64_C(1000000000)
#define DRAW_NS (SECOND_NS / 8)
#define LINE_NS (SECOND_NS * 5)
#define BAR 24

void progress_start(struct progress *progress, const char *what, const char *unit, bool quiet)
{
	uint64_t now = clock_monotonic_ns();
	*progress = (struct progress){
		.what = what,
		.unit = unit,
		.quiet = quiet,
		.terminal = isatty(STDERR_FILENO) != 0,
		.start_ns = now,
		.recent_ns = now,
	};
	progress->next_ns = now + (progress->terminal ? DRAW_NS : LINE_NS);
}

double progress_seconds(const struct progress *progress)
{
	return (double)(clock_monotonic_ns() - progress->start_ns) / (double)SECOND_NS;
}

void progress_hide(struct progress *progress)
{
	if (progress->drawn)
		fputs("\r\033[K", stderr);
	progress->drawn = false;
}

void progress_text(char *buffer, size_t room, uint64_t done, const char *unit, double rate, double share, double left)
{
	char text[TEXT_MAX];
	size_t at = 0;
	buffer[0] = '\0';
	if (share >= 0)
		at += (size_t)snprintf(buffer + at, room - at, "%3d%%", (int)(share * 100));
	if (unit[0] != '\0' && at < room)
		at += (size_t)snprintf(buffer + at, room - at, "%s%s %s", at > 0 ? "  " : "", text_count(done, text),
				       unit);
	if (unit[0] != '\0' && rate > 0 && at < room)
		at += (size_t)snprintf(buffer + at, room - at, "  %s/s", text_count((uint64_t)rate, text));
	if (left >= 0 && at < room)
		snprintf(buffer + at, room - at, "  %s left", text_elapsed(left < 1 ? 1 : left, text));
}

static void bar_draw(char *bar, double share)
{
	int full = (int)(share * BAR + 0.5);
	for (int i = 0; i < BAR; i++)
		bar[i] = i < full ? '#' : '.';
	bar[BAR] = '\0';
}

void progress_update(struct progress *progress, uint64_t done, double share)
{
	uint64_t now = clock_monotonic_ns();
	if (progress->quiet || now < progress->next_ns)
		return;
	progress->next_ns = now + (progress->terminal ? DRAW_NS : LINE_NS);
	if (now - progress->recent_ns > SECOND_NS) {
		progress->rate = (double)(done - progress->recent_done) * (double)SECOND_NS /
				 (double)(now - progress->recent_ns);
		progress->recent_ns = now;
		progress->recent_done = done;
	}
	/* What was read of a packed file is ahead of what came out of it: never done before it is. */
	if (share > 0.99)
		share = 0.99;
	double seconds = progress_seconds(progress);
	double left = share > 0.01 && seconds > 1 ? seconds / share * (1 - share) : -1;
	char text[160], bar[BAR + 1], line[256];
	progress_text(text, sizeof text, done, progress->unit, progress->rate, share, left);
	if (!progress->terminal) {
		fprintf(stderr, "%s: %s\n", progress->what, text);
		return;
	}
	bar_draw(bar, share < 0 ? 0 : share);
	int bytes = snprintf(line, sizeof line, "%s [%s] %s", progress->what, bar, text);
	size_t width = terminal_width(stderr);
	if (width > 1 && (size_t)bytes >= width)
		line[width - 1] = '\0';
	fprintf(stderr, "\r%s\033[K", line);
	progress->drawn = true;
}
