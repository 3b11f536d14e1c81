/* Reading clocks, and durations as people write them. */
#include "base/time.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t read_clock(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * TIME_S + t.tv_nsec;
}

int64_t time_boot(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

int64_t time_wall(void)
{
    return read_clock(CLOCK_REALTIME);
}

static const struct {
    const char *name;
    int64_t ns;
} units[] = {{"d", TIME_DAY}, {"h", TIME_HOUR}, {"m", TIME_MIN},
             {"s", TIME_S},   {"ms", TIME_MS},  {"", TIME_S}};

/* The unit that `text` of `n` letters names, 0 if none. */
static int64_t unit_of(const char *text, size_t n)
{
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (strlen(units[i].name) == n && strncmp(units[i].name, text, n) == 0)
            return units[i].ns;
    return 0;
}

/* One "12h" of a duration; advances *at; -1 if there is none. */
static int64_t parse_part(const char **at)
{
    int64_t value = 0;
    const char *p = *at;
    if (!isdigit((unsigned char)*p))
        return -1;
    for (; isdigit((unsigned char)*p); p++) {
        value = value * 10 + (*p - '0');
        if (value > INT32_MAX)
            return -1;
    }
    const char *word = p;
    while (isalpha((unsigned char)*p))
        p++;
    int64_t unit = unit_of(word, (size_t)(p - word));
    int64_t ns = 0;
    if (unit == 0 || __builtin_mul_overflow(value, unit, &ns))
        return -1;
    *at = p;
    return ns;
}

int time_parse(const char *text, const char *what, int64_t *ret_ns, struct error *err)
{
    const char *at = text;
    int64_t total = 0;
    do {
        int64_t part = parse_part(&at);
        if (part < 0)
            return error_set(err, ERROR_INVALID,
                             "%s: '%s' is not a duration; write it as 90s, 5m, 2h, 1h30m or 1d",
                             what, text);
        if (part > 3650 * TIME_DAY || total + part > 3650 * TIME_DAY)
            return error_set(err, ERROR_INVALID, "%s: '%s' is longer than ten years", what, text);
        total += part;
    } while (*at);
    *ret_ns = total;
    return 0;
}

const char *time_format(int64_t ns, char buf[TIME_TEXT])
{
    if (ns == TIME_NEVER)
        return memcpy(buf, "never", sizeof "never");
    if (ns < 0)
        ns = 0;
    if (ns < TIME_S) {
        (void)snprintf(buf, TIME_TEXT, "%dms", (int)(ns / TIME_MS));
        return buf;
    }
    for (size_t i = 0; i < 4; i++) {
        if (ns < units[i].ns)
            continue;
        int64_t rest = i + 1 < 4 ? ns % units[i].ns / units[i + 1].ns : 0;
        if (rest > 0)
            (void)snprintf(buf, TIME_TEXT, "%lld%s%lld%s", (long long)(ns / units[i].ns),
                           units[i].name, (long long)rest, units[i + 1].name);
        else
            (void)snprintf(buf, TIME_TEXT, "%lld%s", (long long)(ns / units[i].ns), units[i].name);
        break;
    }
    return buf;
}

const char *time_format_wall(int64_t wall_ns, char buf[TIME_TEXT])
{
    time_t seconds = (time_t)(wall_ns / TIME_S);
    struct tm parts;
    if (!localtime_r(&seconds, &parts) || !strftime(buf, TIME_TEXT, "%Y-%m-%d %H:%M:%S", &parts))
        buf[0] = '\0';
    return buf;
}
