/* Local time throughout: a day and a month are the reader's. */
#include "cli/when.h"

#include "base/time.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

int when_read(const char *text, const char *what, int64_t *ret, struct error *err)
{
    struct tm day = {.tm_isdst = -1};
    const char *end = strptime(text, "%Y-%m-%d", &day);
    if (end && *end == '\0') {
        *ret = (int64_t)mktime(&day);
        if (*ret >= 0)
            return 0;
    }
    int64_t ago = 0;
    if (time_parse(text, what, &ago, err) < 0)
        return error_set(err, ERROR_INVALID,
                         "%s: how long ago (30d, 12h) or a day (2026-11-01), not '%s'", what, text);
    *ret = (time_wall() - ago) / TIME_S;
    return 0;
}

/* Local midnight of the first of a month; months beyond 11 are of the next year. */
static int64_t begins(int year, int month)
{
    struct tm first = {.tm_year = year - 1900, .tm_mon = month, .tm_mday = 1, .tm_isdst = -1};
    return (int64_t)mktime(&first);
}

/* "2026-11", and nothing else: strptime would take "26-1" and blanks. */
static bool read_month(const char *text, int *ret_year, int *ret_month)
{
    static const char form[] = "dddd-dd";
    size_t i = 0;
    while (form[i] && (form[i] == 'd' ? isdigit((unsigned char)text[i]) : text[i] == '-'))
        i++;
    if (form[i] || text[i])
        return false;
    *ret_year = (int)strtol(text, NULL, 10);
    *ret_month = (int)strtol(text + 5, NULL, 10) - 1;
    return *ret_year >= 1970 && *ret_month >= 0 && *ret_month < 12;
}

int when_month(const char *text, int64_t now, int64_t *ret_from, int64_t *ret_to, struct error *err)
{
    int year, month;
    if (!read_month(text, &year, &month))
        return error_set(err, ERROR_INVALID, "--month: a month such as 2026-11, not '%s'", text);
    *ret_from = MAX(begins(year, month), 0);
    *ret_to = begins(year, month + 1);
    if (*ret_from <= now)
        return 0;
    return error_set(err, ERROR_INVALID,
                     "--month: %s has not begun; name this month or an earlier one", text);
}
