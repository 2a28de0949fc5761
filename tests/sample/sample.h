/*
 * The world of the sample: when it ends, who lives in it, and the events they leave behind.
 *
 * Everything here is made up: the people, their tastes and every event. Nothing was recorded from anyone. The
 * catalogs (shop.csv, series.csv) are written by hand; the series are real titles with their well-known facts, the
 * products and brands are inventions.
 */
#ifndef KINDRED_SAMPLE_H
#define KINDRED_SAMPLE_H

#include "chance.h"

#include <stddef.h>
#include <stdint.h>

#define SAMPLE_DAYS                                                                                                    \
	398 /* thirteen months: the weeks around today are there twice, and all is within the usual retention */
#define JOHN 0
#define JANE 1

enum event_kind { VIEWED, CARTED, PURCHASED, WATCHED };

struct sample_event {
	int64_t time_s;
	uint32_t person;
	uint16_t item; /* row of the catalog */
	uint16_t kind; /* enum event_kind */
	uint32_t order; /* as made; breaks ties in time */
};

struct sample_log {
	struct sample_event *events;
	size_t count, room;
};

struct world {
	int64_t now_s;
	uint64_t seed;
	uint32_t people;
};

/* How catalog order becomes popularity: the n-th of its kind, from 0, is wanted (n + shift)^-slope as much. */
double zipf(size_t n, double shift, double slope);
/* 0..365 */
int day_of_year(int64_t time_s);
/* 1 on the day of the peak, 0 half a year away; a power > 1 makes it narrower. */
double wave(int day, int peak, double power);
/* An event; those outside the world's time are left out. */
void record(const struct world *world, struct sample_log *log, uint32_t person, size_t item, enum event_kind kind,
	    int64_t time_s);
/* Seconds into the day when people have time: mostly evenings. */
double time_of_day(struct chance *chance);

/* Appends all events of the shop's customers, and of the series' viewers. */
void shop_events(const struct world *world, const char *catalog, struct sample_log *log);
void series_events(const struct world *world, const char *catalog, struct sample_log *log);

#endif
