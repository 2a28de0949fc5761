/* Where a port is opened: "host:port", "[::1]:port". */
#ifndef KINDRED_SERVER_ADDRESS_H
#define KINDRED_SERVER_ADDRESS_H

#include "common/error.h"

#include <stddef.h>

/*
 * E_INVALID unless the address ends in a port from 0 to 65535: gRPC and getaddrinfo take 99999 for
 * 34463. The error names the parameter.
 */
int address_check(const char *parameter, const char *address, struct error *err);

/*
 * What of C core's message about an address that cannot be opened is for a person. Its texts end with a blank and
 * details in nested braces, which may have os_error:"Address already in use" somewhere.
 */
void address_cause(const char *message, char *cause, size_t room);

#endif
