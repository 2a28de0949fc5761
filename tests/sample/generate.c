/*
 * kindred-sample: makes the events of the bundled sample, the same ones for the same options.
 *
 * Welcome. The catalogs in this folder are written by hand. The events are made here, and are no record of anybody:
 * some thousand people with tastes (sports, price class, genres, languages) live for thirteen months up to --now. They
 * come in sessions, look, compare, put into the cart, buy; they watch one series after the other. Seasons act by day of
 * the year: soccer shoes are bought all year, but with shin guards and a thermal underlayer in the cold months, with a
 * sun cap and a water bottle in summer. Trends act by days before now. Popularity falls with the order in the catalog
 * (Zipf). How strongly, is in tables: shop.c for the shop, series.c for the series.
 *
 * John and Jane live among them with a hand-written past (shop_people.c, series.c); what they do last, ./run demo adds.
 */
#include "common/clock.h"
#include "sample.h"
#include "table.h"
#include "version.h"

#include <argp.h>
#include <err.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

static const char *const kind_names[] = {
	[VIEWED] = "Viewed", [CARTED] = "Added to Cart", [PURCHASED] = "Purchased", [WATCHED] = "Watched"
};

static const char *const first_names[] = {
	"ada",    "aisha", "akira", "alba",  "amir",  "ana",     "anders", "anna",  "arjun",  "astrid", "ben",
	"bianca", "bruno", "carla", "chidi", "chloe", "clara",   "daan",   "dario", "dewi",   "diego",  "elena",
	"elif",   "emil",  "emma",  "erik",  "fatou", "felix",   "fiona",  "freya", "gita",   "greta",  "hana",
	"hugo",   "ida",   "igor",  "ines",  "ivan",  "jasper",  "joao",   "jonas", "julia",  "kaito",  "karim",
	"kira",   "lars",  "layla", "lena",  "leon",  "lin",     "luca",   "lucia", "maja",   "malik",  "mara",
	"marco",  "mateo", "mei",   "mia",   "milan", "min-jun", "nadia",  "nils",  "noah",   "nora",   "olga",
	"oliver", "omar",  "otto",  "paula", "pedro", "petra",   "priya",  "quinn", "rafael", "rania",  "ravi",
	"rosa",   "sami",  "sara",  "selma", "sofia", "soren",   "tara",   "theo",  "tomas",  "uma",    "vera",
	"viktor", "wei",   "yara",  "yusuf", "zoe",
};

double zipf(size_t n, double shift, double slope)
{
	return pow((double)n + shift, -slope);
}

int day_of_year(int64_t time_s)
{
	time_t t = (time_t)time_s;
	struct tm tm;

	return gmtime_r(&t, &tm) ? tm.tm_yday : 0;
}

double wave(int day, int peak, double power)
{
	return pow(0.5 + 0.5 * cos(2 * M_PI * (day - peak) / 365.25), power);
}

double time_of_day(struct chance *chance)
{
	double hour = chance_yes(chance, 0.7) ? 20 + 1.6 * chance_normal(chance) : chance_between(chance, 8, 22);

	return fmin(fmax(hour, 6), 23.4) * 3600;
}

void record(const struct world *world, struct sample_log *log, uint32_t person, size_t item, enum event_kind kind,
	    int64_t time_s)
{
	if (time_s >= world->now_s || time_s < world->now_s - SAMPLE_DAYS * DAY_MS / 1000)
		return;
	if (log->count == log->room) {
		log->room = log->room ? log->room * 2 : 1 << 16;
		log->events = reallocarray(log->events, log->room, sizeof *log->events);
		if (!log->events)
			err(EX_OSERR, "memory");
	}
	log->events[log->count] = (struct sample_event){ .time_s = time_s,
							 .person = person,
							 .item = (uint16_t)item,
							 .kind = (uint16_t)kind,
							 .order = (uint32_t)log->count };
	log->count++;
}

static int by_time(const void *a, const void *b)
{
	const struct sample_event *x = a, *y = b;

	if (x->time_s != y->time_s)
		return x->time_s < y->time_s ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static void print_person(FILE *file, uint32_t person)
{
	size_t names = sizeof first_names / sizeof *first_names;

	if (person == JOHN)
		fputs("john", file);
	else if (person == JANE)
		fputs("jane", file);
	else
		fprintf(file, "%s-%u", first_names[person % names], person);
}

/* id_letter: begins the event ids of this file, so that the two files share none. */
static void write_events(struct sample_log *log, const char *catalog, const char *path, char id_letter)
{
	struct table table;
	FILE *file = fopen(path, "w");
	char text[32];

	if (!file)
		err(EX_CANTCREAT, "%s", path);
	table_read(&table, catalog);
	qsort(log->events, log->count, sizeof *log->events, by_time);
	fputs("event_id,user,item,event,time\n", file);
	for (size_t i = 0; i < log->count; i++) {
		const struct sample_event *event = &log->events[i];

		time_format(event->time_s * 1000, text);
		fprintf(file, "%c%07zu,", id_letter, i + 1);
		print_person(file, event->person);
		fprintf(file, ",%s,%s,%s\n", table_cell(&table, event->item, "Identity"), kind_names[event->kind],
			text);
	}
	if (ferror(file) || fclose(file) != 0)
		err(EX_IOERR, "%s", path);
	table_free(&table);
	fprintf(stderr, "%s: %zu events\n", path, log->count);
}

struct options {
	struct world world;
	const char *catalogs, *shop, *series;
};

static const struct argp_option options_known[] = {
	{ "people", 'p', "N", 0, "People (4000)", 0 },
	{ "seed", 's', "N", 0, "Another seed, other lives (1)", 0 },
	{ "now", 'n', "TIME", 0, "When the last event may be: epoch seconds or ISO 8601 (the clock)", 0 },
	{ "catalogs", 'c', "DIR", 0, "Where shop.csv and series.csv are (" KINDRED_SAMPLE_CATALOGS ")", 0 },
	{ "shop", 1, "FILE", 0, "Write the shop's events here", 0 },
	{ "series", 2, "FILE", 0, "Write the series' events here", 0 },
	{ 0 },
};

static uint64_t number(struct argp_state *state, const char *what, const char *text, uint64_t min, uint64_t max)
{
	char *end;
	unsigned long long value = strtoull(text, &end, 10);

	if (end == text || *end || *text == '-' || value < min || value > max)
		argp_error(state, "--%s '%s': a number from %llu to %llu", what, text, (unsigned long long)min,
			   (unsigned long long)max);
	return value;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;
	int64_t time_ms;

	switch (key) {
	case 'p':
		options->world.people = (uint32_t)number(state, "people", arg, 2, 10000000);
		return 0;
	case 's':
		options->world.seed = number(state, "seed", arg, 0, UINT64_MAX);
		return 0;
	case 'n':
		if (!time_parse(arg, strlen(arg), &time_ms))
			argp_error(state, "--now '%s': epoch seconds, or a time like 2026-11-23T10:00:00Z", arg);
		options->world.now_s = time_ms / 1000;
		return 0;
	case 'c':
		options->catalogs = arg;
		return 0;
	case 1:
		options->shop = arg;
		return 0;
	case 2:
		options->series = arg;
		return 0;
	case ARGP_KEY_END:
		if (!options->shop && !options->series)
			argp_error(state, "give --shop FILE, --series FILE, or both");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		options_known,
		parse,
		NULL,
		"Makes the events of Kindred's bundled sample: invented people, a real calendar.\v"
		"Examples:\n"
		"  kindred-sample --shop shop_events.csv --series series_events.csv\n"
		"  kindred-sample --shop shop_events.csv --now 2026-07-01",
		NULL,
		NULL,
		NULL
	};
	struct options options = { .world = { .now_s = clock_wall_ms() / 1000, .seed = 1, .people = 4000 },
				   .catalogs = KINDRED_SAMPLE_CATALOGS };
	struct sample_log log = { 0 };
	char catalog[4096];

	argp_program_version = "kindred-sample " KINDRED_VERSION " (" KINDRED_REVISION ")";
	argp_parse(&argp, argc, argv, 0, NULL, &options);
	if (options.shop) {
		snprintf(catalog, sizeof catalog, "%s/shop.csv", options.catalogs);
		shop_events(&options.world, catalog, &log);
		write_events(&log, catalog, options.shop, 's');
	}
	log.count = 0;
	if (options.series) {
		snprintf(catalog, sizeof catalog, "%s/series.csv", options.catalogs);
		series_events(&options.world, catalog, &log);
		write_events(&log, catalog, options.series, 'w');
	}
	free(log.events);
	return 0;
}
