/*
 * How soon a thread gets a core once it has something to do, and from whom. Linux's fair scheduler
 * (EEVDF, 6.6 and later) runs the thread whose slice ends first, and lets one with a short slice take
 * the core from one with a longer (since 6.12 a thread may say how long its own is); older kernels know
 * only SLICE_BATCH, which is as well. How much of the cores a thread gets in all does not change.
 */
#ifndef KINDRED_SLICE_H
#define KINDRED_SLICE_H

#include <stdbool.h>

enum slice {
	SLICE_SHORT, /* 100 us: for who has little to do, and has to do it at once */
	SLICE_BATCH, /* takes the core from nobody: it begins when a core is free or its time has come */
};

/*
 * Of the calling thread; threads it starts afterwards keep a batch slice, not a short one. False with
 * errno: all is as it was, which costs latency only.
 */
bool slice_take(enum slice slice);

#endif
