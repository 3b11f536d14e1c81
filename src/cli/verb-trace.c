/* `fetta trace make`: jobs made up, to simulate with. Asks no daemon. */
#include "cli/args.h"
#include "cli/fleets.h"

#include "base/macro.h"
#include "base/time.h"
#include "trace/make.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct make_options {
    const char *mix, *load, *machine, *times, *mean;
    int64_t jobs, seed;
};

static int parse(struct cli *c, int argc, char **argv, struct make_options *o, struct error *err)
{
    struct args a = {0};
    int first;
    args_add(&a, (struct args_option){"mix", 0, ARGS_TEXT, &o->mix, "NAME",
                                      "uniform, skew-small, skew-big, bimodal, core-small or "
                                      "migbench (uniform)"});
    args_add(&a, (struct args_option){"load", 0, ARGS_TEXT, &o->load, "PART",
                                      "compute slices asked for, as a part of all (1.0)"});
    args_add(&a, (struct args_option){"machine", 0, ARGS_TEXT, &o->machine, "MACHINE",
                                      "for which fleet: 100xa100-80, 4xdgx-a100"});
    args_add(&a, (struct args_option){"jobs", 0, ARGS_COUNT, &o->jobs, "N", "how many jobs (1000)",
                                      .min = 1, .max = INT64_MAX});
    args_add(&a, (struct args_option){"seed", 0, ARGS_COUNT, &o->seed, "N",
                                      "the same seed makes the same jobs (1)", .min = 0,
                                      .max = INT64_MAX});
    args_add(&a, (struct args_option){"times", 0, ARGS_TEXT, &o->times, "NAME",
                                      "how long jobs run: exponential, lognormal or philly "
                                      "(exponential)"});
    args_add(&a, (struct args_option){"mean", 0, ARGS_DURATION, &o->mean, "TIME",
                                      "mean of exponential times (10m)"});
    int r = args_read(&a, c, argc, argv, 0, 0, &first, err);
    if (r == 0 && !o->machine)
        r = error_set(err, ERROR_INVALID, "for which fleet? --machine 100xa100-80");
    return r;
}

static int times_called(const char *name, enum make_times *ret, struct error *err)
{
    for (*ret = 0; *ret < MAKE_TIMES; (*ret)++)
        if (strcmp(make_times[*ret], name) == 0)
            return 0;
    return error_set(err, ERROR_INVALID,
                     "--times must be exponential, lognormal or philly, not '%s'", name);
}

static int set_up(const struct make_options *o, struct sim_setup *s, struct make *m,
                  struct error *err)
{
    char *end;
    int64_t mean = 0;
    *m = (struct make){.mix = o->mix, .seed = (uint64_t)o->seed, .jobs = (uint64_t)o->jobs};
    m->load = strtod(o->load, &end);
    if (*end || end == o->load || !(m->load > 0 && m->load <= 1000))
        return error_set(err, ERROR_INVALID, "--load must be above 0 and at most 1000, not '%s'",
                         o->load);
    int r = times_called(o->times, &m->times, err);
    if (r == 0)
        r = time_parse(o->mean, "--mean", &mean, err);
    if (r == 0 && mean == 0)
        r = error_set(err, ERROR_INVALID, "--mean must be above 0");
    m->mean_s = (double)mean / TIME_S;
    if (r == 0)
        r = fleets_read(o->machine, s, err);
    return r == 0 ? make_begin(m, s, err) : r;
}

static int write_all(struct make *m, const struct board *b, struct error *err)
{
    struct sim_job j;
    char name[BOARD_PROFILE_NAME];
    printf("submit_s,run_s,slice,count,user\n");
    int r = 0;
    while (!ferror(stdout) && (r = make_next(m, &j, err)) > 0)
        printf("%" PRId64 ".%06" PRId64 ",%" PRId64 ".%06" PRId64 ",%s,1,0\n", j.submit / TIME_S,
               j.submit % TIME_S / TIME_US, j.run / TIME_S, j.run % TIME_S / TIME_US,
               board_profile_name(b, &b->profiles[j.row[0]], name));
    if (fflush(stdout) != 0 || ferror(stdout))
        return error_set(err, ERROR_IO, "cannot write the trace");
    return MIN(r, 0);
}

int verb_trace_make(struct cli *c, int argc, char **argv)
{
    struct make_options o = {.mix = "uniform",
                             .load = "1.0",
                             .times = make_times[0],
                             .mean = "10m",
                             .jobs = 1000,
                             .seed = 1};
    AUTO_FREE struct sim_setup *s = calloc(1, sizeof *s);
    struct make m;
    struct error err;
    int r = s ? parse(c, argc, argv, &o, &err)
              : error_set(&err, ERROR_NO_MEMORY, "no memory left for a fleet");
    if (r > 0)
        return 0;
    if (r == 0)
        r = set_up(&o, s, &m, &err);
    if (r == 0)
        r = write_all(&m, s->groups[0].board, &err);
    return r < 0 ? cli_fail(c, &err) : 0;
}
