#include "shop.h"

#include <err.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* peak: day of the year; swing 0: the same all year, 1: nothing half a year from the peak. */
static const struct {
	const char *name;
	double share;
	int peak;
	double swing;
	double outdoors; /* how much its people care for sun, cold and thirst */
} sports[SPORTS] = {
	[SOCCER] = { "soccer", 0.20, 250, 0.10, 1.0 },     [RUNNING] = { "running", 0.17, 120, 0.25, 0.9 },
	[HIKING] = { "hiking", 0.12, 200, 0.35, 0.9 },     [CAMPING] = { "camping", 0.06, 185, 0.80, 0.5 },
	[CYCLING] = { "cycling", 0.11, 140, 0.45, 0.5 },   [SWIMMING] = { "swimming", 0.06, 185, 0.50, 0.2 },
	[TENNIS] = { "tennis", 0.05, 160, 0.60, 0.6 },     [BASKETBALL] = { "basketball", 0.05, 270, 0.15, 0.3 },
	[FITNESS] = { "fitness", 0.08, 10, 0.35, 0.1 },    [YOGA] = { "yoga", 0.05, 15, 0.15, 0.1 },
	[CLIMBING] = { "climbing", 0.03, 170, 0.25, 0.2 }, [SKIING] = { "skiing", 0.07, 355, 0.95, 0.6 },
};

static const struct {
	enum sport one, other;
	double factor;
} related[] = {
	{ HIKING, CAMPING, 5 },  { HIKING, CLIMBING, 3 },    { HIKING, SKIING, 2 },      { CAMPING, CLIMBING, 2 },
	{ RUNNING, FITNESS, 3 }, { RUNNING, CYCLING, 2 },    { RUNNING, HIKING, 1.5 },   { CYCLING, SWIMMING, 1.5 },
	{ SOCCER, FITNESS, 2 },  { SOCCER, RUNNING, 1.5 },   { SOCCER, BASKETBALL, 2 },  { YOGA, FITNESS, 2.5 },
	{ YOGA, RUNNING, 1.5 },  { BASKETBALL, FITNESS, 2 }, { CLIMBING, FITNESS, 1.5 }, { TENNIS, SKIING, 2 },
};

/* floor: what is left of the demand half a year from the peak. */
static const struct {
	const char *name;
	int peak;
	double floor, power;
} seasons[] = {
	{ "all-year", 0, 1.0, 1 },           { "spring-summer", 140, 0.15, 1.5 }, { "summer", 180, 0.03, 2.5 },
	{ "autumn-winter", 318, 0.10, 1.5 }, { "winter", 350, 0.03, 2.5 },
};

/* What became known lately: from so many days ago, in the end wanted `height` times as much. */
static const struct {
	const char *id;
	double from, height;
} trends[] = {
	{ "pacewell-cushion-x", 40, 3.0 }, { "karstone-boulder-slipper", 50, 2.5 },    { "hoopward-air-lift", 35, 2.5 },
	{ "korva-guard-slip", 30, 1.8 },   { "liftora-adjustable-dumbbell", 45, 2.5 }, { "tarnhill-thermos", 35, 1.8 },
	{ "asanita-cork-mat", 40, 2.5 },   { "solano-legion-cap", 30, 1.8 },
};

/* What people come for, rather than take along. Other categories: 1. */
static const struct {
	const char *category;
	double weight;
} draws[] = {
	{ "shoes", 4 },  { "tent", 2.5 },   { "racket", 3 },  { "mat", 3 },       { "skis", 2.5 },
	{ "jacket", 2 }, { "swimwear", 2 }, { "weights", 2 }, { "bicycle", 0.7 }, { "watch", 1.5 },
	{ "care", 0.4 }, { "bottle", 0.5 }, { "socks", 0.6 },
};

/* What people take along with what they came for. NULL: any category. Other products of the same sport count 0.4. */
static const struct {
	enum sport sport;
	const char *anchor;
	enum sport other;
	const char *category;
	double weight;
} companions[] = {
	{ SOCCER, "shoes", SOCCER, "protection", 6 },
	{ SOCCER, "shoes", SOCCER, "socks", 4 },
	{ SOCCER, "shoes", SOCCER, "ball", 1.5 },
	{ SOCCER, "shoes", ANY_SPORT, "base layer", 2.5 },
	{ SOCCER, "shoes", ANY_SPORT, "headwear", 2 },
	{ SOCCER, "shoes", ANY_SPORT, "bottle", 2 },
	{ SOCCER, "ball", SOCCER, "equipment", 3 },
	{ SOCCER, "shirt", SOCCER, "shorts", 4 },
	{ RUNNING, "shoes", RUNNING, "socks", 4 },
	{ RUNNING, "shoes", RUNNING, "trousers", 2 },
	{ RUNNING, "shoes", RUNNING, "light", 1.5 },
	{ RUNNING, "watch", RUNNING, "watch", 2 },
	{ RUNNING, NULL, ANY_SPORT, "headwear", 1.2 },
	{ HIKING, "shoes", HIKING, "socks", 4 },
	{ HIKING, "shoes", HIKING, "equipment", 2 },
	{ HIKING, "shoes", HIKING, "bag", 2 },
	{ HIKING, "bag", HIKING, "jacket", 2 },
	{ HIKING, NULL, ANY_SPORT, "bottle", 1.5 },
	{ HIKING, NULL, CAMPING, "light", 0.6 },
	{ CAMPING, "tent", CAMPING, "sleeping", 4 },
	{ CAMPING, "tent", CAMPING, "cooking", 2.5 },
	{ CAMPING, "sleeping", CAMPING, "sleeping", 1.5 },
	{ CYCLING, "bicycle", CYCLING, "helmet", 4 },
	{ CYCLING, "bicycle", CYCLING, "equipment", 3 },
	{ CYCLING, "bicycle", CYCLING, "light", 3 },
	{ CYCLING, "shorts", CYCLING, "shirt", 4 },
	{ CYCLING, "gloves", CYCLING, "protection", 3 },
	{ SWIMMING, "swimwear", SWIMMING, "eyewear", 4 },
	{ SWIMMING, "swimwear", SWIMMING, "headwear", 3 },
	{ SWIMMING, "swimwear", SWIMMING, "care", 2 },
	{ TENNIS, "racket", TENNIS, "ball", 4 },
	{ TENNIS, "racket", TENNIS, "bag", 2 },
	{ TENNIS, "racket", TENNIS, "equipment", 2 },
	{ TENNIS, "shirt", TENNIS, "care", 2 },
	{ BASKETBALL, "shoes", BASKETBALL, "socks", 4 },
	{ BASKETBALL, "shoes", BASKETBALL, "ball", 3 },
	{ BASKETBALL, "ball", BASKETBALL, "equipment", 3 },
	{ BASKETBALL, "shirt", BASKETBALL, "shorts", 4 },
	{ FITNESS, "weights", FITNESS, "equipment", 3 },
	{ FITNESS, "weights", FITNESS, "gloves", 2 },
	{ FITNESS, "nutrition", FITNESS, "bottle", 5 },
	{ YOGA, "mat", YOGA, "equipment", 4 },
	{ YOGA, "mat", YOGA, "bag", 3 },
	{ YOGA, "trousers", YOGA, "shirt", 4 },
	{ CLIMBING, "shoes", CLIMBING, "bag", 4 },
	{ CLIMBING, "shoes", CLIMBING, "equipment", 2 },
	{ CLIMBING, "bag", CLIMBING, "care", 5 },
	{ SKIING, "skis", SKIING, "shoes", 4 },
	{ SKIING, "skis", SKIING, "equipment", 2 },
	{ SKIING, "shoes", SKIING, "socks", 4 },
	{ SKIING, "jacket", SKIING, "trousers", 4 },
	{ SKIING, NULL, ANY_SPORT, "base layer", 2 },
};

double sport_share(enum sport sport)
{
	return sports[sport].share;
}

double sport_affinity(enum sport first, enum sport second)
{
	for (size_t i = 0; i < sizeof related / sizeof *related; i++)
		if ((related[i].one == first && related[i].other == second) ||
		    (related[i].one == second && related[i].other == first))
			return related[i].factor;
	return first == second ? 0 : 1;
}

double sport_season(enum sport sport, int day)
{
	return 1 + sports[sport].swing * (2 * wave(day, sports[sport].peak, 1) - 1);
}

double product_demand(const struct product *product, double days_before_now, int day)
{
	double demand = product->season[day];

	if (product->trend_from > 0 && days_before_now < product->trend_from)
		demand *= 1 + (product->trend_height - 1) * (1 - days_before_now / product->trend_from);
	return demand;
}

double product_companion(const struct product *anchor, const struct product *other)
{
	if (anchor == other || anchor->sport == ANY_SPORT)
		return 0;
	for (size_t i = 0; i < sizeof companions / sizeof *companions; i++)
		if (companions[i].sport == anchor->sport && companions[i].other == other->sport &&
		    (!companions[i].anchor || strcmp(companions[i].anchor, anchor->category) == 0) &&
		    strcmp(companions[i].category, other->category) == 0)
			return companions[i].weight;
	if (other->sport == ANY_SPORT)
		return 0.25 * sports[anchor->sport].outdoors;
	/* nobody takes a second pair of shoes along */
	return other->sport == anchor->sport && strcmp(other->category, anchor->category) != 0 ? 0.4 : 0;
}

static enum sport sport_of(const char *name)
{
	for (int i = 0; i < SPORTS; i++)
		if (strcmp(sports[i].name, name) == 0)
			return (enum sport)i;
	if (strcmp(name, "any") == 0)
		return ANY_SPORT;
	errx(EX_DATAERR, "sport '%s' of the catalog is not in the table of shop.c", name);
}

static enum audience audience_of(const char *name)
{
	static const char *const names[] = { "men", "women", "kids", "unisex" };

	for (int i = 0; i < 4; i++)
		if (strcmp(names[i], name) == 0)
			return (enum audience)i;
	errx(EX_DATAERR, "audience '%s' of the catalog: men, women, kids or unisex", name);
}

static void season_of(struct product *product, const char *name)
{
	size_t n = 0;
	double sum = 0;

	while (strcmp(seasons[n].name, name) != 0)
		if (++n == sizeof seasons / sizeof *seasons)
			errx(EX_DATAERR, "season '%s' of the catalog is not in the table of shop.c", name);
	for (int day = 0; day < 366; day++) {
		product->season[day] =
			seasons[n].floor + (1 - seasons[n].floor) * wave(day, seasons[n].peak, seasons[n].power);
		sum += product->season[day];
	}
	for (int day = 0; day < 366; day++)
		product->season[day] *= 366 / sum;
}

/* Popularity and price class count among products of the same sport and category. */
static void rank(struct shop *shop, size_t n)
{
	struct product *product = &shop->products[n];
	double own = log(strtod(table_cell(&shop->table, n, "price"), NULL)), sum = 0;
	size_t before = 0, kind = 0;

	for (size_t i = 0; i < shop->count; i++) {
		const struct product *other = &shop->products[i];

		if (other->sport != product->sport || strcmp(other->category, product->category) != 0)
			continue;
		sum += log(strtod(table_cell(&shop->table, i, "price"), NULL));
		before += i < n;
		kind++;
	}
	product->popularity = zipf(before, 1.5, 0.7);
	product->price_class = (own - sum / (double)kind) / 0.5;
	product->draw = 1;
	for (size_t i = 0; i < sizeof draws / sizeof *draws; i++)
		if (strcmp(draws[i].category, product->category) == 0)
			product->draw = draws[i].weight;
}

void shop_init(struct shop *shop, const char *catalog)
{
	table_read(&shop->table, catalog);
	shop->count = shop->table.rows;
	if (shop->count > PRODUCTS_MAX)
		errx(EX_DATAERR, "%s: more than %d products", catalog, PRODUCTS_MAX);
	for (size_t i = 0; i < shop->count; i++) {
		struct product *product = &shop->products[i];

		*product = (struct product){
			.id = table_cell(&shop->table, i, "Identity"),
			.category = table_cell(&shop->table, i, "category"),
			.sport = sport_of(table_cell(&shop->table, i, "sport")),
			.audience = audience_of(table_cell(&shop->table, i, "audience")),
		};
		season_of(product, table_cell(&shop->table, i, "season"));
		for (size_t k = 0; k < sizeof trends / sizeof *trends; k++)
			if (strcmp(trends[k].id, product->id) == 0) {
				product->trend_from = trends[k].from;
				product->trend_height = trends[k].height;
			}
	}
	for (size_t i = 0; i < shop->count; i++)
		rank(shop, i);
}

void shop_fini(struct shop *shop)
{
	table_free(&shop->table);
}
