#include "bench/interrupt.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define SIGNALS 2
static const int signals[SIGNALS] = { SIGINT, SIGTERM };
static bool watching, watched[SIGNALS];
static volatile sig_atomic_t came;

static void on_signal(int number)
{
	for (unsigned i = 0; i < SIGNALS; i++)
		if (watched[i])
			signal(signals[i], SIG_DFL);
	if (came) /* both at once, each in a thread of its own */
		raise(number);
	came = number;
}

void interrupt_watch(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART }, before;
	if (watching)
		return;
	watching = true;
	/* the other one waits until the handler has reset it, and then ends the process */
	for (unsigned i = 0; i < SIGNALS; i++)
		sigaddset(&action.sa_mask, signals[i]);
	for (unsigned i = 0; i < SIGNALS; i++) {
		watched[i] = sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN;
		if (watched[i])
			sigaction(signals[i], &action, NULL);
	}
}

int interrupt_signal(void)
{
	return came;
}

void interrupt_end(void)
{
	fflush(stdout);
	signal(came, SIG_DFL);
	raise(came);
	exit(128 + came); /* the first process of a container does not end by a signal */
}
