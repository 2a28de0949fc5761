/*
 * Neighbours' scores as the 16-bit weights of the model, on one scale a relation, because serving adds
 * up weights of several rows.
 */
#ifndef KINDRED_BUILDER_QUANTISE_H
#define KINDRED_BUILDER_QUANTISE_H

#include "builder/cooccur.h"

/*
 * Share of the neighbours that may lie above the top of the scale, where they are all equal; the rest
 * gets finer steps for it.
 */
#define QUANTISE_ABOVE 0.0001

/* *weights: uint16_t[count], each at least 1, in the order of the neighbours. */
int quantise(const struct neighbours *neighbours, double above, uint32_t threads, struct region *weights,
	     struct error *err);

#endif
