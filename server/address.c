#include "server/address.h"

#include <stdio.h>
#include <string.h>

#define PORT_MAX 65535

int address_check(const char *parameter, const char *address, struct error *err)
{
	const char *colon = strrchr(address, ':');
	const char *digits = colon ? colon + 1 : "";
	unsigned long port = 0;
	size_t count = strspn(digits, "0123456789");

	for (size_t i = 0; i < count && port <= PORT_MAX; i++)
		port = port * 10 + (unsigned long)(digits[i] - '0');
	if (colon == address)
		return error_set(err, E_INVALID,
				 "%s: \"%s\" has no host; 0.0.0.0%s are all addresses of this machine, 127.0.0.1%s is "
				 "for its own programs",
				 parameter, address, address, address);
	if (count == 0 || digits[count] || port > PORT_MAX)
		return error_set(err, E_INVALID, "%s: \"%s\"; host:port is wanted, the port from 0 to 65535", parameter,
				 address);
	return 0;
}

void address_cause(const char *message, char *cause, size_t room)
{
	static const char os_error[] = "os_error:\"", unknown[] = "UNKNOWN:";
	const char *told = strstr(message, os_error);
	size_t bytes;

	if (told) {
		told += strlen(os_error);
		bytes = strcspn(told, "\"");
	} else {
		told = strncmp(message, unknown, strlen(unknown)) ? message : message + strlen(unknown);
		bytes = strcspn(told, "{");
	}
	while (bytes > 0 && told[bytes - 1] == ' ')
		bytes--;
	snprintf(cause, room, "%.*s", (int)bytes, told);
}
