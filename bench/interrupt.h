/*
 * Ctrl-C and SIGTERM: the first one ends the load in order, so that what was measured is told; the second one ends the
 * process at once. Main thread.
 */
#ifndef KINDRED_BENCH_INTERRUPT_H
#define KINDRED_BENCH_INTERRUPT_H

/* From now on; a second call does nothing. What is ignored, as in the background of a script, stays so. */
void interrupt_watch(void);
/* The signal that came; 0: none. */
int interrupt_signal(void);
/* Ends the process by it, as if it had never been watched, so that a shell sees 128 + signal, and stops too. */
void interrupt_end(void) __attribute__((noreturn));

#endif
