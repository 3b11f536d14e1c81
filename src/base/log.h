/* One line per event on stderr, with the syslog level prefix journald understands. Only programs
 * log; libraries return errors. */
#pragma once

#include "base/macro.h"

enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARN = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

/* Sets the program's name and the least important level still printed. Prefixes "<N>" only when
 * stderr is the journal (JOURNAL_STREAM is set). */
void log_init(const char *program, enum log_level most);

/* One line of printf text without its newline; dropped if less important than log_init's `most`.
 * Control bytes in the text become '?', and what is beyond 1 KiB is cut. Cannot fail. */
FORMAT(2, 3) void log_line(enum log_level level, const char *fmt, ...);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
