/*
 * Log lines to stderr: "2026-11-23T10:00:00.000Z info worker/2 swap: generation 7 active". One write() a line, so that
 * lines of several processes on one stderr do not mix. Any thread.
 */
#ifndef KINDRED_LOG_H
#define KINDRED_LOG_H

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* Once, before threads: who speaks ("server", "worker/2") and from which level down. */
void log_init(const char *who, enum log_level level);
enum log_level log_level_now(void);
/* "error", "warning", "info", "debug"; -1 for anything else. */
int log_level_parse(const char *name);

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...)                                                                                                 \
	do {                                                                                                           \
		if (log_level_now() >= LOG_DEBUG)                                                                      \
			log_write(LOG_DEBUG, __VA_ARGS__);                                                             \
	} while (0)

#endif
