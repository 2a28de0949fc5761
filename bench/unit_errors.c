#include "bench/unit_errors.h"

void unit_errors_add(struct unit_errors *errors, unsigned kind, const char *text, size_t bytes)
{
	if (errors->counts[kind]++ == 0)
		error_set(&errors->first[kind], E_UNKNOWN, "%.*s", (int)bytes, text);
}

unsigned unit_error_kind(uint64_t status)
{
	return status < UNIT_OTHER ? (unsigned)status : UNIT_OTHER;
}

const char *unit_error_name(unsigned kind)
{
	static const char *const others[] = { "other", "DUPLICATE", "DROPPED", "REFUSED" };
	return kind < UNIT_OTHER ? error_name(error_from_grpc_status((int)kind)) : others[kind - UNIT_OTHER];
}

bool unit_error_is_event(unsigned kind)
{
	return kind >= UNIT_DUPLICATE;
}
