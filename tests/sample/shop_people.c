/*
 * The shop's customers: each has one to three sports, a price class and a size of wardrobe; they come when their
 * sport's season does, look at what they came for and at some like it, put one into the cart, take companions along,
 * and buy or do not.
 */
#include "shop.h"

#include <err.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define DAY_S 86400
#define RATE_PEAK 3.0 /* a sport's season is at most 2, Christmas 1.5 */

struct customer {
	struct chance chance;
	uint32_t person;
	double sports[SPORTS]; /* sum 1 */
	double price_class;
	enum audience audience;
	bool has_kids;
	double sessions_a_day;
	double patience; /* products looked at beside the first one */
	bool had[PRODUCTS_MAX]; /* put into a cart before: wanted a tenth as much again */
};

struct visit {
	int64_t time_s;
	double days_before_now;
	int day;
};

static void choose_sports(struct customer *customer)
{
	static const double parts[] = { 1, 0.45, 0.2 };
	double weights[SPORTS], sum = 0;
	size_t wanted = 1 + (chance_yes(&customer->chance, 0.65)) + (chance_yes(&customer->chance, 0.3));
	size_t first = SPORTS;

	for (size_t n = 0; n < wanted; n++) {
		size_t sport;

		for (int i = 0; i < SPORTS; i++) {
			weights[i] = customer->sports[i] > 0 ? 0 : sport_share((enum sport)i);
			if (first < SPORTS)
				weights[i] *= sport_affinity((enum sport)first, (enum sport)i);
		}
		sport = chance_pick(&customer->chance, weights, SPORTS);
		customer->sports[sport] = parts[n];
		sum += parts[n];
		if (n == 0)
			first = sport;
	}
	for (int i = 0; i < SPORTS; i++)
		customer->sports[i] /= sum;
}

static void customer_init(struct customer *customer, const struct world *world, uint32_t person)
{
	*customer = (struct customer){ .person = person };
	chance_init(&customer->chance, world->seed, 2 * (uint64_t)person);
	choose_sports(customer);
	customer->price_class = chance_normal(&customer->chance) * 0.8;
	customer->audience = chance_yes(&customer->chance, 0.5) ? WOMEN : MEN;
	customer->has_kids = chance_yes(&customer->chance, 0.25);
	customer->sessions_a_day = exp(chance_normal(&customer->chance) * 0.6) * 7.6 / 365;
	customer->patience = chance_between(&customer->chance, 0.3, 2.2);
}

/* How much this customer likes this product at that time, whatever brought them to the shop. */
static double liking(const struct customer *customer, const struct product *product, const struct visit *visit)
{
	double distance = product->price_class - customer->price_class;
	double like = product->popularity * exp(-distance * distance / 2) *
		      product_demand(product, visit->days_before_now, visit->day);

	if (product->audience == KIDS)
		return customer->has_kids ? like * 0.6 : like * 0.02;
	if (product->audience != UNISEX && product->audience != customer->audience)
		return like * 0.05;
	return like;
}

static size_t choose(struct customer *customer, const struct shop *shop, const double *weights)
{
	double left[PRODUCTS_MAX];

	for (size_t i = 0; i < shop->count; i++)
		left[i] = weights[i] * (customer->had[i] ? 0.1 : 1);
	return chance_pick(&customer->chance, left, shop->count);
}

/* What they came for: a product of one of their sports, or sometimes anything. */
static size_t choose_anchor(struct customer *customer, const struct shop *shop, const struct visit *visit)
{
	double weights[PRODUCTS_MAX], wanted[SPORTS];
	bool curious = chance_yes(&customer->chance, 0.07);
	size_t sport;

	for (int i = 0; i < SPORTS; i++)
		wanted[i] = (curious ? sport_share((enum sport)i) : customer->sports[i]) *
			    sport_season((enum sport)i, visit->day);
	sport = chance_pick(&customer->chance, wanted, SPORTS);
	for (size_t i = 0; i < shop->count; i++) {
		const struct product *product = &shop->products[i];

		weights[i] = 0;
		if (product->sport == (enum sport)sport)
			weights[i] = product->draw * liking(customer, product, visit);
	}
	return choose(customer, shop, weights);
}

/* Another of the same kind. */
static size_t choose_alternative(struct customer *customer, const struct shop *shop, const struct visit *visit,
				 size_t anchor)
{
	const struct product *first = &shop->products[anchor];
	double weights[PRODUCTS_MAX];

	for (size_t i = 0; i < shop->count; i++) {
		const struct product *product = &shop->products[i];

		weights[i] =
			i != anchor && product->sport == first->sport && strcmp(product->category, first->category) == 0
				? liking(customer, product, visit)
				: 0;
	}
	return choose(customer, shop, weights);
}

static size_t choose_companion(struct customer *customer, const struct shop *shop, const struct visit *visit,
			       size_t anchor)
{
	double weights[PRODUCTS_MAX];

	for (size_t i = 0; i < shop->count; i++)
		weights[i] = product_companion(&shop->products[anchor], &shop->products[i]) *
			     liking(customer, &shop->products[i], visit);
	return choose(customer, shop, weights);
}

static int64_t pause_s(struct customer *customer)
{
	return 15 + (int64_t)chance_wait(&customer->chance, 1.0 / 50);
}

static void put_into_cart(struct customer *customer, const struct world *world, struct sample_log *log, size_t item,
			  int64_t time_s)
{
	record(world, log, customer->person, item, CARTED, time_s);
	customer->had[item] = true;
}

/* One visit: view, compare, cart, companions, purchase. */
static void visit_shop(struct customer *customer, const struct shop *shop, const struct world *world,
		       struct sample_log *log, int64_t time_s)
{
	struct visit visit = { .time_s = time_s,
			       .days_before_now = (double)(world->now_s - time_s) / DAY_S,
			       .day = day_of_year(time_s) };
	size_t anchor = choose_anchor(customer, shop, &visit), cart[8], in_cart = 0, seen = 0;

	if (anchor >= shop->count)
		return;
	record(world, log, customer->person, anchor, VIEWED, time_s);
	while (seen < 5 && chance_yes(&customer->chance, customer->patience / (1 + customer->patience))) {
		size_t other = chance_yes(&customer->chance, 0.4) ? choose_alternative(customer, shop, &visit, anchor)
								  : choose_companion(customer, shop, &visit, anchor);

		if (other >= shop->count)
			break;
		record(world, log, customer->person, other, VIEWED, time_s += pause_s(customer));
		if (strcmp(shop->products[other].category, shop->products[anchor].category) == 0 &&
		    chance_yes(&customer->chance, 0.3))
			anchor = other; /* the other one is nicer */
		seen++;
	}
	if (!chance_yes(&customer->chance, 0.5))
		return;
	put_into_cart(customer, world, log, anchor, time_s += pause_s(customer));
	cart[in_cart++] = anchor;
	while (in_cart < 5 && chance_yes(&customer->chance, 0.62)) {
		size_t other = choose_companion(customer, shop, &visit, anchor);

		if (other >= shop->count)
			break;
		if (chance_yes(&customer->chance, 0.6))
			record(world, log, customer->person, other, VIEWED, time_s += pause_s(customer));
		put_into_cart(customer, world, log, other, time_s += pause_s(customer));
		cart[in_cart++] = other;
	}
	if (!chance_yes(&customer->chance, 0.68))
		return;
	time_s += 60 + pause_s(customer);
	for (size_t i = 0; i < in_cart; i++)
		record(world, log, customer->person, cart[i], PURCHASED, time_s);
}

static void live(struct customer *customer, const struct shop *shop, const struct world *world, struct sample_log *log)
{
	double start = chance_yes(&customer->chance, 0.7) ? 0 : chance_between(&customer->chance, 0, SAMPLE_DAYS - 20);

	/* Visits come at random, at a rate that follows the sports' seasons and the weeks before Christmas. */
	for (double day = start;;) {
		int64_t time_s;
		int of_year;
		double rate = 0;

		day += chance_wait(&customer->chance, customer->sessions_a_day * RATE_PEAK);
		if (day >= SAMPLE_DAYS)
			return;
		time_s = world->now_s - (int64_t)((SAMPLE_DAYS - day) * DAY_S);
		time_s -= time_s % DAY_S;
		of_year = day_of_year(time_s);
		for (int i = 0; i < SPORTS; i++)
			rate += customer->sports[i] * sport_season((enum sport)i, of_year);
		if (of_year > 325 && of_year < 356)
			rate *= 1.5;
		if (chance_yes(&customer->chance, rate / RATE_PEAK))
			visit_shop(customer, shop, world, log, time_s + (int64_t)time_of_day(&customer->chance));
	}
}

/* John runs and trains at home. He has not bought anything for soccer yet. */
static void john(const struct shop *shop, const struct world *world, struct sample_log *log)
{
	static const struct {
		double days_ago;
		const char *id;
		enum event_kind until;
	} past[] = {
		{ 301.3, "plainfield-sports-bag", PURCHASED },   { 207.4, "pacewell-tempo-4", PURCHASED },
		{ 207.3, "pacewell-run-socks", PURCHASED },      { 148.5, "tikko-pulse-watch", VIEWED },
		{ 96.2, "liftora-resistance-bands", PURCHASED }, { 61.4, "pacewell-run-belt", CARTED },
		{ 33.4, "liftora-jump-rope", VIEWED },           { 12.5, "tikko-chest-strap", VIEWED },
		{ 4.3, "pacewell-cushion-x", VIEWED },
	};

	for (size_t i = 0; i < sizeof past / sizeof *past; i++) {
		int64_t time_s = world->now_s - (int64_t)(past[i].days_ago * DAY_S);
		size_t row = 0;

		while (row < shop->count && strcmp(shop->products[row].id, past[i].id) != 0)
			row++;
		if (row == shop->count)
			errx(EX_DATAERR, "the shop's catalog has no '%s', which John needs", past[i].id);
		for (int kind = VIEWED; kind <= (int)past[i].until; kind++)
			record(world, log, JOHN, row, (enum event_kind)kind, time_s += 70);
	}
}

void shop_events(const struct world *world, const char *catalog, struct sample_log *log)
{
	struct shop *shop = calloc(1, sizeof *shop);

	if (!shop)
		err(EX_OSERR, "memory");
	shop_init(shop, catalog);
	john(shop, world, log);
	/* of ten people, three never shop here */
	for (uint32_t person = 2; person < world->people; person++) {
		struct customer customer;

		if (person % 10 < 3)
			continue;
		customer_init(&customer, world, person);
		live(&customer, shop, world, log);
	}
	shop_fini(shop);
	free(shop);
}
