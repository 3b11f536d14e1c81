/* CSV without quotes: five columns, none of which has a use for a comma. */
#include "needs/points.h"

#include "base/macro.h"
#include "base/str.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum column { SLICE, BATCH, PROCESSES, THROUGHPUT, LATENCY, COLUMNS };

static const char *const names[COLUMNS] = {"slice", "batch", "processes", "throughput",
                                           "latency_ms"};

struct reader {
    const char *what, *start, *at; /* start of the line, and where we are */
    unsigned line;
    enum column order[COLUMNS];
    struct error *err;
};

FORMAT(2, 3) static int fail(const struct reader *r, const char *fmt, ...)
{
    char text[200];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return error_set(r->err, ERROR_INVALID, "%s: line %u, column %u: %s", r->what, r->line,
                     (unsigned)(r->at - r->start) + 1, text);
}

/* The cell at hand without blanks around it; leaves `at` on what ends it. */
static int cell(struct reader *r, bool last, char ret[BOARD_PROFILE_NAME], const char **ret_at)
{
    r->at += strspn(r->at, " \t");
    size_t n = strcspn(r->at, ",\r\n"), len = n;
    while (len > 0 && (r->at[len - 1] == ' ' || r->at[len - 1] == '\t'))
        len--;
    *ret_at = r->at;
    if (len >= BOARD_PROFILE_NAME)
        return fail(r, "a cell is longer than any value can be");
    memcpy(ret, r->at, len);
    ret[len] = '\0';
    if (!last && r->at[n] != ',') {
        r->at += n;
        return fail(r, "the line ends here, but there should be %d cells", COLUMNS);
    }
    if (last && r->at[n] == ',') {
        r->at += n;
        return fail(r, "there should be %d cells, but there is more here", COLUMNS);
    }
    r->at += n;
    return 0;
}

/* To the start of the next line that is not empty; false at the end. */
static bool next_line(struct reader *r)
{
    do {
        r->at += strcspn(r->at, "\n");
        if (!*r->at)
            return false;
        r->start = ++r->at;
        r->line++;
    } while (r->at[strspn(r->at, " \t\r")] == '\n' || !r->at[strspn(r->at, " \t\r")]);
    return true;
}

static int read_heading(struct reader *r)
{
    unsigned seen = 0;
    for (unsigned i = 0; i < COLUMNS; i++) {
        char text[BOARD_PROFILE_NAME];
        const char *from;
        unsigned c = 0;
        int rc = cell(r, i + 1 == COLUMNS, text, &from);
        if (rc < 0)
            return rc;
        while (c < COLUMNS && strcmp(names[c], text) != 0)
            c++;
        if (c == COLUMNS || seen >> c & 1) {
            r->at = from;
            return fail(r,
                        "the first line must be slice,batch,processes,throughput,latency_ms, "
                        "and '%s' is none of these, or is there twice",
                        text);
        }
        seen |= 1u << c;
        r->order[i] = (enum column)c;
        r->at += *r->at == ',';
    }
    return 0;
}

static int number(struct reader *r, const char *text, const char *from, enum column c, double *ret)
{
    char *end;
    errno = 0;
    *ret = strtod(text, &end);
    bool whole = c == BATCH || c == PROCESSES;
    bool good = !errno && end != text && !*end && isfinite(*ret) && *ret >= 0;
    if (good && (!whole || (*ret >= 1 && *ret <= WORK_BATCH && *ret == floor(*ret))))
        return 0;
    r->at = from;
    return whole ? fail(r, "%s must be a whole number of 1 to %d, not '%s'", names[c], WORK_BATCH,
                        text)
                 : fail(r, "%s must be a number of at least 0, not '%s'", names[c], text);
}

static int read_point(struct reader *r, struct needs_point *ret)
{
    double values[COLUMNS] = {0};
    for (unsigned i = 0; i < COLUMNS; i++) {
        char text[BOARD_PROFILE_NAME];
        const char *from;
        enum column c = r->order[i];
        int rc = cell(r, i + 1 == COLUMNS, text, &from);
        if (rc == 0 && c == SLICE && !text[0])
            rc = fail(r, "which slice? write 1g, or a profile's name");
        if (rc == 0 && c == SLICE)
            memcpy(ret->slice, text, sizeof ret->slice);
        else if (rc == 0)
            rc = number(r, text, from, c, &values[c]);
        if (rc < 0)
            return rc;
        r->at += *r->at == ',';
    }
    ret->batch = (unsigned)values[BATCH];
    ret->processes = (unsigned)values[PROCESSES];
    ret->rate = values[THROUGHPUT];
    ret->ms = values[LATENCY];
    return 0;
}

int points_read(const char *text, const char *what, struct needs_point **ret, size_t *ret_n,
                struct error *err)
{
    struct reader r = {.what = what, .start = text, .at = text, .line = 1, .err = err};
    AUTO_FREE struct needs_point *all = NULL;
    size_t room = 0, n = 0;
    int rc = read_heading(&r);
    while (rc == 0 && next_line(&r)) {
        if (n == room) {
            room = room ? 2 * room : 64;
            struct needs_point *more = realloc(all, room * sizeof *all);
            if (!more)
                return error_set(err, ERROR_NO_MEMORY, "no memory left to read %s", what);
            all = more;
        }
        rc = read_point(&r, &all[n++]);
    }
    if (rc == 0 && n == 0)
        rc = fail(&r, "there is no measurement in it");
    if (rc < 0)
        return rc;
    *ret = all;
    *ret_n = n;
    all = NULL;
    return 0;
}
