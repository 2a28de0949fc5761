/*
 * Where a worker listens to further front-ends: <data>/tmp/worker-N, a unix socket that the server makes and every
 * process of that worker gets as FRONT_END_FD, so that whoever connects while a worker is being restarted waits
 * in the socket's queue for the next one. The memory of the link (common/ring.h) comes with the first byte. Loop
 * thread; nothing here waits.
 */
#ifndef KINDRED_SERVER_WORKER_SOCKET_H
#define KINDRED_SERVER_WORKER_SOCKET_H

#include "common/error.h"

#include <stdint.h>

/* E_INVALID: the directory's name is too long for a unix socket. */
int worker_socket_listen(const char *directory, uint32_t worker, int *fd, struct error *err);
/* memory: the caller's; -1: there is none. */
int worker_socket_connect(const char *directory, uint32_t worker, int memory, int *fd, struct error *err);
void worker_socket_close(const char *directory, uint32_t worker, int fd);

#endif
