/* Two instants and a factor. */
#include "emul/clock.h"

#include "base/macro.h"
#include "base/time.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int clock_parse(const char *text, struct clock *ret, struct error *err)
{
    char *end = NULL;
    *ret = (struct clock){.kind = CLOCK_KIND_REAL, .factor = 1};
    if (strcmp(text, "real") == 0)
        return 0;
    if (strcmp(text, "virtual") == 0) {
        ret->kind = CLOCK_KIND_VIRTUAL;
        return 0;
    }
    bool digit = text[0] == 'x' && text[1] >= '1' && text[1] <= '9';
    unsigned long factor = digit ? strtoul(text + 1, &end, 10) : 0;
    if (!digit || *end || factor > 1000000)
        return error_set(err, ERROR_INVALID,
                         "'%.40s' is no clock; write real, virtual, or a factor from x1 to "
                         "x1000000",
                         text);
    ret->kind = CLOCK_KIND_SCALED;
    ret->factor = (uint32_t)factor;
    return 0;
}

void clock_start(struct clock *c, int64_t real)
{
    c->real = c->machine = real;
}

int64_t clock_at(const struct clock *c, int64_t real)
{
    int64_t passed = 0, now = 0;
    if (__builtin_mul_overflow(MAX(real - c->real, 0), (int64_t)c->factor, &passed) ||
        __builtin_add_overflow(c->machine, passed, &now))
        return TIME_NEVER - 1;
    return now;
}

int64_t clock_until(const struct clock *c, int64_t real, int64_t due)
{
    if (due == TIME_NEVER)
        return TIME_NEVER;
    int64_t left = due - clock_at(c, real);
    return left <= 0 ? 0 : (left + c->factor - 1) / c->factor;
}

void clock_advance(struct clock *c, int64_t ns)
{
    if (__builtin_add_overflow(c->machine, ns, &c->machine))
        c->machine = TIME_NEVER - 1;
}

const char *clock_write(const struct clock *c, char buf[CLOCK_TEXT])
{
    char kind[16];
    (void)snprintf(kind, sizeof kind, "x%" PRIu32, c->factor);
    (void)snprintf(buf, CLOCK_TEXT, "%s %" PRId64 " %" PRId64 "\n",
                   c->kind == CLOCK_KIND_REAL      ? "real"
                   : c->kind == CLOCK_KIND_VIRTUAL ? "virtual"
                                                   : kind,
                   c->real, c->machine);
    return buf;
}

int clock_read(const char *text, struct clock *ret, struct error *err)
{
    char kind[16];
    int64_t real = 0, machine = 0;
    int end = 0;
    if (sscanf(text, "%15s %" SCNd64 " %" SCNd64 "%n", kind, &real, &machine, &end) != 3 ||
        strcmp(text + end, "\n") != 0)
        return error_set(err, ERROR_INVALID, "'%.60s' is no running clock", text);
    int r = clock_parse(kind, ret, err);
    ret->real = real;
    ret->machine = machine;
    return r;
}
