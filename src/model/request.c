/* Reading the two quantities people type, and refusing requests that contradict themselves.
 *
 * Both readers are strict: a mistyped amount must fail here, where the text can say how to write
 * it, and not later as a slice of a surprising size. */
#include "model/request.h"

#include "base/str.h"
#include "base/time.h"

#include <string.h>

#define BYTES_END (UINT64_C(1) << 50)

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads digits at *text into *value, false if there are none or they pass `most`. */
static bool read_digits(const char **text, uint64_t most, uint64_t *value)
{
    const char *at = *text;
    uint64_t sum = 0;
    for (; is_digit(*at); at++) {
        sum = sum * 10 + (uint64_t)(*at - '0');
        if (sum > most)
            return false;
    }
    bool any = at != *text;
    *text = at;
    *value = sum;
    return any;
}

int request_parse_bytes(const char *text, const char *what, uint64_t *ret, struct error *err)
{
    const char *at = text;
    uint64_t n = 0;
    if (!read_digits(&at, BYTES_END - 1, &n))
        return error_set(
            err, ERROR_INVALID,
            "%s: \"%.40s\" is not an amount of memory, write a whole number below 1024T "
            "with a unit, such as 18G or 18432M",
            what, text);
    if (!*at)
        return error_set(err, ERROR_INVALID,
                         "%s: \"%.40s\" has no unit, write for example %.40sG or %.40sM", what,
                         text, text, text);
    int shift = str_unit(at);
    if (shift < 0)
        return error_set(err, ERROR_INVALID,
                         "%s: \"%.40s\" has an unknown unit or a fraction, write a whole number of "
                         "K, M, G or T, such as 18G or 18432M",
                         what, text);
    if (n == 0)
        return error_set(err, ERROR_INVALID, "%s: \"%.40s\" is nothing, ask for at least 1M", what,
                         text);
    if (n > (BYTES_END - 1) >> shift)
        return error_set(err, ERROR_INVALID, "%s: \"%.40s\" is too large, ask for less than 1024T",
                         what, text);
    *ret = n << shift;
    return 0;
}

/* A part of one as num/den. */
struct ratio {
    uint64_t num, den;
};

/* Reads "N/M", "0.3" or "30%"; false for anything else. At most six digits on either side keep all
 * products far below 2^64. */
static bool read_ratio(const char *text, struct ratio *ret)
{
    enum { MOST = 999999 };
    const char *at = text;
    struct ratio r = {0, 1};
    if (!read_digits(&at, MOST, &r.num))
        return false;
    if (*at == '/') {
        at++;
        *ret = r;
        return read_digits(&at, MOST, &ret->den) && !*at && ret->den > 0;
    }
    if (*at == '.') {
        const char *fraction = ++at;
        uint64_t part = 0;
        if (!read_digits(&at, MOST, &part) || at - fraction > 6)
            return false;
        for (; fraction < at; fraction++)
            r.den *= 10;
        r.num = r.num * r.den + part;
    }
    if (*at == '%') {
        r.den *= 100;
        at++;
    }
    *ret = r;
    return !*at;
}

int request_parse_compute(const char *text, const char *what, uint16_t *ret, struct error *err)
{
    struct ratio r;
    if (!read_ratio(text, &r))
        return error_set(err, ERROR_INVALID,
                         "%s: \"%.40s\" is not a part of a GPU, write it as 2/7, 0.3 or 30%%", what,
                         text);
    if (r.num == 0 || r.num > r.den)
        return error_set(
            err, ERROR_INVALID,
            "%s: \"%.40s\" is not more than nothing and at most a whole GPU, write it as "
            "2/7, 0.3 or 30%%",
            what, text);
    *ret = (uint16_t)((r.num * 1000 + r.den - 1) / r.den);
    return 0;
}

static int check_ranges(const struct request *r, struct error *err)
{
    if (r->count < 1 || r->count > REQUEST_SLICES)
        return error_set(err, ERROR_INVALID, "%u slices: ask for 1 to %d in one lease", r->count,
                         REQUEST_SLICES);
    if (r->bytes >= BYTES_END)
        return error_set(err, ERROR_INVALID,
                         "the memory asked for is too large, ask for less than 1024T");
    if (r->compute_ppt > 1000)
        return error_set(err, ERROR_INVALID, "%u thousandths of the compute: a whole GPU has 1000",
                         r->compute_ppt);
    if (r->gpu < REQUEST_ANY)
        return error_set(err, ERROR_INVALID, "gpu %d: GPUs are numbered from 0", r->gpu);
    if (r->start < REQUEST_ANY || r->start >= 16)
        return error_set(err, ERROR_INVALID, "start %d: memory slices are numbered from 0 to 15",
                         r->start);
    if (r->start != REQUEST_ANY && r->count > 1)
        return error_set(err, ERROR_INVALID,
                         "%u slices cannot all start at memory slice %d: ask for each on its own",
                         r->count, r->start);
    if (r->wait_ns < 0 || r->for_ns < 0 || r->grace_ns < -1)
        return error_set(err, ERROR_INVALID, "a duration is negative: write 0 or more");
    return 0;
}

static bool terminated(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

static int check_texts(const struct request *r, struct error *err)
{
    if (!terminated(r->profile, sizeof r->profile) ||
        !terminated(r->ci_profile, sizeof r->ci_profile) || !terminated(r->key, sizeof r->key))
        return error_set(err, ERROR_INVALID,
                         "a profile name or a key is too long: at most %d and %d characters",
                         BOARD_PROFILE_NAME - 1, REQUEST_KEY - 1);
    for (const char *c = r->key; *c; c++) {
        if (*c <= ' ' || *c > '~')
            return error_set(
                err, ERROR_INVALID,
                "the key holds a space or a character beyond ASCII: use letters, digits "
                "and punctuation");
    }
    return 0;
}

/* A whole GPU and a software share have neither a profile nor a place among memory slices. */
static int check_unplaced(const struct request *r, const char *what, struct error *err)
{
    if (r->profile[0])
        return error_set(err, ERROR_INVALID, "profile %s: %s has no profile, leave it out",
                         r->profile, what);
    if (r->start != REQUEST_ANY)
        return error_set(err, ERROR_INVALID, "start %d: %s does not start at a memory slice",
                         r->start, what);
    return 0;
}

static int check_share(const struct request *r, struct error *err)
{
    int rc = check_unplaced(r, "a software share", err);
    if (rc == 0 && r->bytes == 0 && r->compute_ppt == 0)
        rc = error_set(err, ERROR_INVALID,
                       "a software share needs an amount of memory or compute: say how much");
    return rc;
}

static int check_ci(const struct request *r, struct error *err)
{
    const char *name = r->ci_profile;
    if (name[0] >= '1' && name[0] <= '8' && strcmp(name + 1, "c") == 0)
        return 0;
    return error_set(err, ERROR_INVALID,
                     "compute-instance profile \"%s\": write 1c to 8c, such as 1c", name);
}

/* What each kind of slice may be described by. */
static int check_kind(const struct request *r, struct error *err)
{
    if (r->profile[0] && (r->bytes > 0 || r->compute_ppt > 0))
        return error_set(err, ERROR_INVALID,
                         "profile %s together with an amount of memory or compute: name one or the "
                         "other",
                         r->profile);
    if (r->kind != SLICE_CI && r->ci_profile[0])
        return error_set(err, ERROR_INVALID,
                         "compute-instance profile %s: only a shared GPU instance is divided so",
                         r->ci_profile);
    switch (r->kind) {
    case SLICE_GI:
        return 0;
    case SLICE_WHOLE:
        return check_unplaced(r, "a whole GPU", err);
    case SLICE_CI:
        return check_ci(r, err);
    case SLICE_SHARE:
        return check_share(r, err);
    }
    return error_set(err, ERROR_INVALID, "kind of slice %d is not known", (int)r->kind);
}

static int check_bind(const struct request *r, struct error *err)
{
    switch (r->bind) {
    case BIND_NONE:
        if (r->for_ns == TIME_NEVER)
            return error_set(err, ERROR_INVALID,
                             "a lease bound to nothing needs an end: say for how long it is");
        return 0;
    case BIND_USER:
        if (r->owner.kind != OWNER_UID)
            return error_set(
                err, ERROR_INVALID,
                "a lease of a named owner cannot live with a user's processes: bind it to "
                "a process, a cgroup or a key");
        return 0;
    case BIND_KEY:
        if (!r->key[0])
            return error_set(err, ERROR_INVALID, "a lease bound to a key needs one: give a key");
        return 0;
    case BIND_PID:
    case BIND_LEASE:
    case BIND_SESSION:
    case BIND_CGROUP:
        return 0;
    }
    return error_set(err, ERROR_INVALID, "kind of binding %d is not known", (int)r->bind);
}

int request_check(const struct request *r, struct error *err)
{
    int rc = check_texts(r, err);
    if (rc == 0)
        rc = check_ranges(r, err);
    if (rc == 0)
        rc = check_kind(r, err);
    if (rc == 0)
        rc = check_bind(r, err);
    return rc;
}
