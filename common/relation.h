/*
 * A relation is what the builder learns for a definition: the neighbours of items under certain events
 * with certain weights, in a certain window. Definitions that need the same relation share it. Its
 * canonical key is what the two sides agree on:
 *
 *     "Added to Cart=3;Purchased=5;Viewed=1|window=7776000"
 *     "..|occasion=visit", "..|occasion=again"   what is to be foreseen is not the next new item
 *     "..|session=1800"                          Definition.session_pause, seconds
 *
 * Types are sorted by bytes, with '=' ';' '|' '%' written as %XX; weights are written by %g; the window is in
 * seconds, 0: all events.
 *
 * Pure.
 */
#ifndef KINDRED_RELATION_H
#define KINDRED_RELATION_H

#include "kindred/v1/definitions.pb-c.h"

#include <stddef.h>

#define RELATION_KEY_MAX 4096

/*
 * Writes the key, NUL-terminated; key must have RELATION_KEY_MAX bytes. Returns its length (always
 * fits: at most 16 types of 64 bytes).
 */
size_t relation_key(const Kindred__V1__Definition *definition, char *key);

#endif
