/*
 * Whether the workers and further front-ends answer. One that is there and does not, however that came about, would
 * keep its users waiting for good: it is named in the log after WATCH_WARN_SECONDS, and after `silent_seconds`
 * killed, which is a death like any other: it is started again, and its calls are answered with UNAVAILABLE. Loop
 * thread.
 */
#ifndef KINDRED_SERVER_WATCH_H
#define KINDRED_SERVER_WATCH_H

#define WATCH_WARN_SECONDS 10u

struct server;

/* Once a second. Looks are counted, not time: who wakes after a machine's sleep has not been silent for hours. */
void watch_look(struct server *server);

#endif
