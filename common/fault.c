#include "common/fault.h"

#include "common/log.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define MAPS_LINE_MAX 4400 /* a path and what stands before it */

/* The mapped file in which an address lies; "" when it cannot be told. */
static void find_file(uintptr_t address, char *file, size_t room)
{
	char line[MAPS_LINE_MAX];
	FILE *maps = fopen("/proc/self/maps", "re");
	const char *path;

	*file = 0;
	if (!maps)
		return;
	while (!*file && fgets(line, sizeof line, maps)) {
		uintptr_t begin, end;

		line[strcspn(line, "\n")] = 0;
		path = strchr(line, '/');
		if (path && sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &begin, &end) == 2 && address >= begin &&
		    address < end)
			snprintf(file, room, "%s", path);
	}
	fclose(maps);
}

/*
 * It is a load from a mapping that raises it, in our code or LMDB's: no lock of the C library is held, so what is not
 * safe after any other signal is here. Should it not be, the second one ends the process all the same.
 */
static void on_bus(int signal, siginfo_t *info, void *context)
{
	char file[MAPS_LINE_MAX];

	(void)context;
	if (info->si_code <= 0) { /* sent by somebody: no page is bad, and no load will come again */
		raise(signal);
		return;
	}
	find_file((uintptr_t)info->si_addr, file, sizeof file);
	log_error("a page of %s cannot be read: the file was cut, or its disk fails; restore it from a backup",
		  *file ? file : "a mapped file");
	/* the load comes again, with nobody to catch it */
}

void fault_init(void)
{
	struct sigaction action = { .sa_sigaction = on_bus, .sa_flags = SA_SIGINFO | (int)SA_RESETHAND };

	sigemptyset(&action.sa_mask);
	sigaction(SIGBUS, &action, NULL);
}
