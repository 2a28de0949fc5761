/*
 * The viewers of the sample: each has tastes in genres, drawn around one or two of the usual circles, and languages.
 * They watch a series for some evenings, then the next, close to what they watched and to what is talked about.
 */
#include "sample.h"
#include "table.h"

#include <err.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define DAY_S 86400
#define SERIES_MAX 300
#define GENRES_MAX 32

struct show {
	const char *id, *language;
	uint32_t genres; /* bit set */
	double popularity;
};

struct shows {
	struct table table;
	struct show shows[SERIES_MAX];
	size_t count;
	char *genres[GENRES_MAX];
	size_t genre_count;
};

/* Circles of taste: how many people, and what they like beside little of everything. */
static const struct {
	double share;
	const char *genres[6];
	double likes[6];
} circles[] = {
	{ 0.17, { "fantasy", "adventure", "history", "action" }, { 3.5, 1.6, 0.9, 0.8 } },
	{ 0.18, { "crime", "thriller", "mystery", "true crime" }, { 3, 1.8, 1, 2 } },
	{ 0.14, { "science fiction", "mystery", "adventure" }, { 3.5, 0.8, 0.8 } },
	{ 0.17, { "comedy", "animation" }, { 3, 0.8 } },
	{ 0.12, { "history", "romance", "drama" }, { 2.5, 1.8, 1 } },
	{ 0.08, { "anime", "animation", "fantasy" }, { 6, 1.2, 0.5 } },
	{ 0.06, { "horror", "thriller", "mystery" }, { 4, 1.2, 0.8 } },
	{ 0.08, { "romance", "comedy", "drama" }, { 3.2, 1, 0.8 } },
	{ 0.05, { "nature", "science", "history", "war" }, { 6, 5, 0.8, 4 } },
	{ 0.05, { "sports", "food", "competition", "true crime" }, { 6, 5, 4, 2 } },
};

/* A second language beside English, and what share of people has it. */
static const struct {
	const char *language;
	double share;
} languages[] = {
	{ "Spanish", 0.13 },   { "German", 0.13 },  { "French", 0.10 }, { "Korean", 0.09 },
	{ "Japanese", 0.08 },  { "Italian", 0.03 }, { "Hindi", 0.04 },  { "Danish", 0.03 },
	{ "Norwegian", 0.03 }, { "Turkish", 0.02 }, { "", 0.32 },
};

/*
 * What was, or is, talked about: `days` before now the talk was loudest, over about `width` days, and that many times
 * as many people watched. Around day 0 are the trends of the last weeks.
 */
static const struct {
	const char *id;
	double days, width, height;
} talks[] = {
	{ "house-of-the-dragon", 0, 22, 5 },
	{ "shogun-2024", 4, 24, 7 },
	{ "rings-of-power", 0, 18, 3.5 },
	{ "silo", 6, 20, 5 },
	{ "the-bear", 2, 20, 4 },
	{ "gomorrah", 5, 20, 4 },
	{ "extraordinary-attorney-woo", 3, 20, 4 },
	{ "wolf-hall", 0, 18, 5 },
	{ "wednesday", 330, 30, 6 },
	{ "the-last-of-us", 240, 30, 5 },
	{ "squid-game", 290, 25, 5 },
	{ "the-wheel-of-time", 190, 30, 5 },
	{ "bridgerton", 160, 25, 4 },
	{ "vikings-valhalla", 260, 30, 5 },
	{ "the-witcher", 120, 25, 4 },
	{ "fallout", 200, 30, 6 },
	{ "the-sandman", 300, 30, 5 },
	{ "severance", 80, 25, 5 },
	{ "drive-to-survive", 250, 30, 3 },
};

struct viewer {
	struct chance chance;
	uint32_t person;
	double genres[GENRES_MAX];
	double english; /* how readily, against the second language */
	const char *language;
	bool seen[SERIES_MAX];
};

static size_t genre_number(struct shows *shows, const char *name, size_t bytes)
{
	for (size_t i = 0; i < shows->genre_count; i++)
		if (strlen(shows->genres[i]) == bytes && memcmp(shows->genres[i], name, bytes) == 0)
			return i;
	if (shows->genre_count == GENRES_MAX)
		errx(EX_DATAERR, "more than %d genres in the catalog", GENRES_MAX);
	shows->genres[shows->genre_count] = strndup(name, bytes);
	if (!shows->genres[shows->genre_count])
		err(EX_OSERR, "memory");
	return shows->genre_count++;
}

static void shows_init(struct shows *shows, const char *catalog)
{
	table_read(&shows->table, catalog);
	shows->count = shows->table.rows;
	if (shows->count > SERIES_MAX)
		errx(EX_DATAERR, "%s: more than %d series", catalog, SERIES_MAX);
	for (size_t i = 0; i < shows->count; i++) {
		struct show *show = &shows->shows[i];
		const char *genre = table_cell(&shows->table, i, "genres");

		show->id = table_cell(&shows->table, i, "Identity");
		show->language = table_cell(&shows->table, i, "language");
		show->popularity = zipf(i, 8, 0.75);
		for (;;) {
			size_t bytes = strcspn(genre, "|");

			show->genres |= UINT32_C(1) << genre_number(shows, genre, bytes);
			if (!genre[bytes])
				break;
			genre += bytes + 1;
		}
	}
}

static void shows_fini(struct shows *shows)
{
	for (size_t i = 0; i < shows->genre_count; i++)
		free(shows->genres[i]);
	table_free(&shows->table);
}

static void add_circle(struct viewer *viewer, struct shows *shows, double part)
{
	double shares[sizeof circles / sizeof *circles];
	size_t circle;

	for (size_t i = 0; i < sizeof circles / sizeof *circles; i++)
		shares[i] = circles[i].share;
	circle = chance_pick(&viewer->chance, shares, sizeof circles / sizeof *circles);
	for (int i = 0; i < 6 && circles[circle].genres[i]; i++)
		viewer->genres[genre_number(shows, circles[circle].genres[i], strlen(circles[circle].genres[i]))] +=
			part * circles[circle].likes[i];
}

static void viewer_init(struct viewer *viewer, struct shows *shows, const struct world *world, uint32_t person)
{
	double shares[sizeof languages / sizeof *languages];

	*viewer = (struct viewer){ .person = person };
	chance_init(&viewer->chance, world->seed, 2 * (uint64_t)person + 1);
	for (size_t i = 0; i < GENRES_MAX; i++)
		viewer->genres[i] = 0.25 * exp(chance_normal(&viewer->chance) * 0.5);
	add_circle(viewer, shows, 1);
	if (chance_yes(&viewer->chance, 0.55))
		add_circle(viewer, shows, chance_between(&viewer->chance, 0.2, 0.6));
	for (size_t i = 0; i < sizeof languages / sizeof *languages; i++)
		shares[i] = languages[i].share;
	viewer->language =
		languages[chance_pick(&viewer->chance, shares, sizeof languages / sizeof *languages)].language;
	viewer->english = chance_yes(&viewer->chance, 0.85) ? 1 : 0.25;
}

static double talk(const struct show *show, double days_before_now)
{
	double factor = 1;

	for (size_t i = 0; i < sizeof talks / sizeof *talks; i++)
		if (strcmp(talks[i].id, show->id) == 0) {
			double distance = (days_before_now - talks[i].days) / talks[i].width;

			factor += (talks[i].height - 1) * exp(-distance * distance);
		}
	return factor;
}

static double taste(const struct viewer *viewer, const struct show *show)
{
	double sum = 0;
	int genres = 0;

	for (size_t i = 0; i < GENRES_MAX; i++)
		if (show->genres >> i & 1) {
			sum += viewer->genres[i];
			genres++;
		}
	sum /= genres;
	return sum * sum;
}

static double understands(const struct viewer *viewer, const struct show *show)
{
	if (strcmp(show->language, viewer->language) == 0)
		return 1.6;
	if (strcmp(show->language, "English") == 0)
		return viewer->english;
	return 0.06;
}

/* Series that share genres with the last one are more likely to come next. */
static double follows(const struct show *show, const struct show *last)
{
	int common, all;

	if (!last)
		return 1;
	common = __builtin_popcount(show->genres & last->genres);
	all = __builtin_popcount(show->genres | last->genres);
	return 0.3 + 3.0 * common / all;
}

static size_t choose_next(struct viewer *viewer, const struct shows *shows, const struct show *last,
			  double days_before_now)
{
	double weights[SERIES_MAX];
	bool anything = chance_yes(&viewer->chance, 0.05);

	for (size_t i = 0; i < shows->count; i++) {
		const struct show *show = &shows->shows[i];

		weights[i] = viewer->seen[i] ? 0 : show->popularity * talk(show, days_before_now);
		if (!anything)
			weights[i] *= taste(viewer, show) * understands(viewer, show) * follows(show, last);
	}
	return chance_pick(&viewer->chance, weights, shows->count);
}

static void live(struct viewer *viewer, const struct shows *shows, const struct world *world, struct sample_log *log)
{
	double breaks = 17.5 * exp(chance_normal(&viewer->chance) * 0.5); /* days between two series */
	double day = chance_yes(&viewer->chance, 0.75) ? chance_between(&viewer->chance, 0, 30)
						       : chance_between(&viewer->chance, 0, SAMPLE_DAYS - 20);
	const struct show *last = NULL;

	for (; day < SAMPLE_DAYS; day += chance_wait(&viewer->chance, 1 / breaks)) {
		int64_t time_s = world->now_s - (int64_t)((SAMPLE_DAYS - day) * DAY_S);
		size_t row = choose_next(viewer, shows, last, SAMPLE_DAYS - day);

		if (row >= shows->count)
			return;
		viewer->seen[row] = true;
		last = &shows->shows[row];
		/* some evenings of it; who does not like it stops after the first */
		do {
			time_s -= time_s % DAY_S;
			record(world, log, viewer->person, row, WATCHED,
			       time_s + (int64_t)time_of_day(&viewer->chance));
			time_s += DAY_S;
			day += 1;
		} while (chance_yes(&viewer->chance, 0.42));
	}
}

/* Jane likes period drama and clever comedy. Fantasy is new to her. */
static void jane(const struct shows *shows, const struct world *world, struct sample_log *log)
{
	static const struct {
		double days_ago;
		const char *id;
	} past[] = {
		{ 320.2, "the-crown" },       { 318.3, "the-crown" },  { 240.2, "downton-abbey" },
		{ 239.2, "downton-abbey" },   { 150.3, "bridgerton" }, { 95.2, "ted-lasso" },
		{ 94.3, "ted-lasso" },        { 52.2, "fleabag" },     { 27.3, "call-my-agent" },
		{ 9.2, "the-queens-gambit" },
	};

	for (size_t i = 0; i < sizeof past / sizeof *past; i++) {
		size_t row = 0;

		while (row < shows->count && strcmp(shows->shows[row].id, past[i].id) != 0)
			row++;
		if (row == shows->count)
			errx(EX_DATAERR, "the series' catalog has no '%s', which Jane needs", past[i].id);
		record(world, log, JANE, row, WATCHED, world->now_s - (int64_t)(past[i].days_ago * DAY_S));
	}
}

void series_events(const struct world *world, const char *catalog, struct sample_log *log)
{
	struct shows *shows = calloc(1, sizeof *shows);

	if (!shows)
		err(EX_OSERR, "memory");
	shows_init(shows, catalog);
	jane(shows, world, log);
	/* of ten people, three never watch here */
	for (uint32_t person = 2; person < world->people; person++) {
		struct viewer viewer;

		if (person % 10 > 6)
			continue;
		viewer_init(&viewer, shows, world, person);
		live(&viewer, shows, world, log);
	}
	shows_fini(shows);
	free(shows);
}
