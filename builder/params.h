/*
 * The parameters of learning and of serving a relation. One table: a parameter is a line in it. A tuner
 * sets them; this version takes the defaults, or what --set says.
 *
 * The list of a user: the distinct items of the relation's events in the window, each at its newest
 * occurrence, oldest first. w: the weight of the strongest event of the user with the item: of its type,
 * the relation's largest being 1, times its own, at most 1. T: the newest event of all.
 *
 *     co(i -> j) = sum over users, with i at position x and j at position y of the list, of
 *                  length^-length_discount x |x - y|^-gap x (back if y < x) x exp(-|t_x - t_y| / pair_days)
 *                  x exp(-(T - max(t_x, t_y)) / age_days) x w_i^type_from x w_j^type_to
 *     weight(i -> j) = (co(i -> j) / (n_i^norm_from x n_j^norm_to + shrink))^sharpness
 *
 * n: users with the item, not decayed. A number of days that is 0 leaves its factor out.
 *
 * With several event types this is one co-occurrence for each ordered pair of types (a -> b), added up
 * with a's weight ^type_from x b's weight ^type_to. With session_minutes the lists, and so n and
 * length, are those of sessions instead of users.
 *
 * Defaults were chosen on five data sets (films, purchases, clicks, sessions of a shop, ratings) on a
 * slice before the newest tenth, so that one setting beats plain cosine on all of them; they lie on a
 * flat top. A tuner does better for every one: bench/README.md.
 *
 * The best `neighbours` j of each i are kept; pairs of fewer than min_count users are not. The reader's
 * side is common/profile.h and common/score.h.
 */
#ifndef KINDRED_BUILDER_PARAMS_H
#define KINDRED_BUILDER_PARAMS_H

#include "common/error.h"

#include <jansson.h>

/* name, default, least, most, prose */
#define PARAMS_TABLE(P)                                                                                                \
	P(list_items, 1000, 2, 10000, "Newest distinct items of a user that are learnt from")                          \
	P(list_window, 100, 0, 10000,                                                                                  \
	  "Pairs are made of items at most this many places apart in the list; 0: any, but see pairs_per_item")        \
	P(pairs_per_item, 300, 1, 1000000,                                                                             \
	  "Bounds the cost: when the lists give more pairs than this per entry, list_window is narrowed")              \
	P(session_minutes, 0, 0, 100000,                                                                               \
	  "A list ends where the user did nothing for so long, and a new one begins; 0: one list a user")              \
	P(length_discount, 0, 0, 2, "Exponent by which a user with a long list counts less")                           \
	P(gap, 0.7, 0, 4, "Exponent by which pairs that are places apart count less")                                  \
	P(back, 0.6, 0, 1, "Weight of the item that came before")                                                      \
	P(pair_days, 0, 0, 100000, "Days between two events after which their pair counts e times less; 0: not")       \
	P(age_days, 30, 0, 100000, "Age in days after which a pair counts e times less; 0: not")                       \
	P(age_floor, 0.3, 0, 1,                                                                                        \
	  "The age factor never falls below it, so that items that rested are still comparable with each other")       \
	P(norm_from, 0.65, 0, 2, "Exponent of the users of the item that neighbours are for")                          \
	P(norm_to, 0.35, 0, 2, "Exponent of the users of the neighbour")                                               \
	P(type_from, 1, 0, 4, "Exponent of the event type's weight, of the item that neighbours are for")              \
	P(type_to, 1, 0.1, 4, "Exponent of the event type's weight, of the neighbour")                                 \
	P(shrink, 8, 0, 1000000, "Holds back pairs of rare items")                                                     \
	P(sharpness, 0.8, 0.1, 4, "Exponent of the weights: below 1 several weak neighbours outweigh a strong one")    \
	P(min_count, 1, 1, 1000, "Users, with sessions: sessions, that must have both items")                          \
	P(neighbours, 100, 1, 1000, "Kept neighbours of an item")                                                      \
	P(attribute_events, 5, 0, 1000,                                                                                \
	  "Items of fewer users than this are cold: they get neighbours by attributes; 0: none is")                    \
	P(attribute_weight, 0.5, 0, 1,                                                                                 \
	  "Weight of a neighbour that shares all attributes, against a usual best neighbour")                          \
	P(profile_items, 20, 1, 256, "Serving: last distinct items of the user")                                       \
	P(rank_decay, 0.85, 0.01, 1, "Serving: weight of a profile item against the next newer one")                   \
	P(rank_slope, 0.25, 0, 10,                                                                                     \
	  "Serving: the same, divided by 1 + rank_slope x rank: a fall that is steep at first, then long")             \
	P(half_life_days, 0, 0, 100000, "Serving: age after which a profile item counts half; 0: no decay")            \
	P(self_weight, 0, 0, 16, "Serving: weight of an item that the user has, against its best neighbour")           \
	P(self_newest, 1, 0, 1, "Serving: the same of the newest item, in shares of self_weight")                      \
	P(blend, 0, 0, 8, "Serving: weight of the 20th of the items popular of late, against the best candidate")      \
	P(recent_days, 7, 0.01, 10000, "Half-life of recent popularity")                                               \
	P(trend_exponent, 0.35, 0, 2, "How much the rate of late against the usual one moves an item")                 \
	P(trend_days, 3, 0.01, 10000, "Half-life of the rate of late")                                                 \
	P(season_exponent, 0.25, 0, 2,                                                                                 \
	  "How much the share in these weeks of last year against the overall one moves an item")                      \
	P(season_days, 30, 1, 180, "Length of these weeks")

struct params {
#define PARAMS_FIELD(name, standard, least, most, prose) double name;
	PARAMS_TABLE(PARAMS_FIELD)
#undef PARAMS_FIELD
};

struct params params_default(void);
/* "age_days=30". E_INVALID: no such parameter (all are named), or out of its range. */
int params_set(struct params *params, const char *assignment, struct error *err);
/* An object with every parameter; NULL: no memory. */
json_t *params_json(const struct params *params);
/* "gap=1 age_days=5": where they differ from those. */
void params_changes(const struct params *params, const struct params *from, char *text, size_t bytes);
/* Takes what is known and in its range from such an object; the rest stays. */
void params_read(struct params *params, const json_t *object);
/* For --help: the text, and a row for each parameter, malloced. */
char *params_help(const char *before);

#endif
