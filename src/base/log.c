/* The only state a program keeps outside its own structures: its name and how much it says. */
#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct {
    const char *program;
    enum log_level most;
    bool journal;
} config = {.program = "fetta", .most = LOG_LEVEL_INFO};

void log_init(const char *program, enum log_level most)
{
    config.program = program;
    config.most = most;
    config.journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_line(enum log_level level, const char *fmt, ...)
{
    if (level > config.most)
        return;
    char line[1024];
    int n = config.journal ? snprintf(line, sizeof line, "<%d>", (int)level)
                           : snprintf(line, sizeof line, "%s: ", config.program);
    size_t used = (size_t)n;
    va_list args;
    va_start(args, fmt);
    n = vsnprintf(line + used, sizeof line - used - 1, fmt, args);
    va_end(args);
    used = MIN(used + (size_t)(n < 0 ? 0 : n), sizeof line - 2);
    /* Text from clients may hold control bytes; a log line must not move a terminal's cursor. */
    for (size_t i = 0; i < used; i++)
        if ((unsigned char)line[i] < ' ')
            line[i] = '?';
    line[used] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, used + 1);
    (void)ignored;
}
