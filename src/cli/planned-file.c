/* Plans as JSON, as layout files and as units of systemd; see planned.h. */
#include "cli/planned.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct board *board_of(const struct planned *p, const struct fleet_use *u)
{
    return &p->fleet->groups[u->group].board;
}

/* Adds `value` to a list; false without memory. */
static bool append(json_t *list, json_t *value)
{
    return value && json_array_append_new(list, value) == 0;
}

/* {"1g.10gb": 2}: how one GPU is cut. */
static json_t *mix_json(const struct board *b, const struct table_mix *mix)
{
    json_t *counts = json_object();
    char name[BOARD_PROFILE_NAME];
    for (unsigned i = 0; counts && i < b->profile_n; i++)
        if (mix->n[i])
            (void)json_object_set_new(counts, board_profile_name(b, &b->profiles[i], name),
                                      json_integer(mix->n[i]));
    return counts;
}

struct list {
    const struct planned *p;
    json_t *to;
    bool good;
};

static void add_cut(void *arg, const struct fleet_use *u, const struct table_mix *mix,
                    uint32_t first, uint32_t count)
{
    struct list *l = arg;
    const struct board *b = board_of(l->p, u);
    l->good &=
        append(l->to, json_pack("{s:s, s:i, s:i, s:o}", "board", b->name, "first", (int)first,
                                "count", (int)count, "mig_devices", mix_json(b, mix)));
}

static json_t *slice_json(const struct planned *p, const struct fleet_use *u, unsigned i,
                          unsigned profile)
{
    const struct board *b = board_of(p, u);
    const struct need *n = &p->needs->all[u->need[i]];
    const struct needs_offer *o = &u->offer[i][profile];
    char name[BOARD_PROFILE_NAME];
    double share = fleet_share(u, i, profile);
    json_t *slice = json_pack("{s:s, s:s, s:i}", "board", b->name, "profile",
                              board_profile_name(b, &b->profiles[profile], name), "count",
                              (int)u->plan.replicas[i][profile]);
    if (!slice || n->job)
        return slice;
    double p99 = 1000 * late_p99(o->ms / 1000, o->batch * o->processes, share);
    json_t *more =
        json_pack("{s:i, s:i, s:f, s:f, s:f, s:f, s:s, s:s}", "batch", (int)o->batch, "processes",
                  (int)o->processes, "batch_ms", o->ms, "rate", share, "rate_most", o->rate,
                  "p99_ms_most", p99, "basis", work_basis_name(o->basis), "source",
                  o->basis == WORK_GIVEN ? "own" : work_source_name(o->source));
    (void)json_object_update(slice, more);
    json_decref(more);
    return slice;
}

static void add_slices(json_t *to, const struct planned *p, const struct fleet_use *u, unsigned i)
{
    for (unsigned f = 0; f < BOARD_PROFILES; f++)
        if (u->plan.replicas[i][f])
            (void)append(to, slice_json(p, u, i, f));
}

static json_t *need_json(const struct planned *p, unsigned number)
{
    const struct need *n = &p->needs->all[number];
    json_t *held = json_array();
    for (unsigned k = 0; k < p->plan->n; k++) {
        const struct fleet_use *u = &p->plan->uses[k];
        for (unsigned i = 0; i < u->n; i++)
            if (u->need[i] == number)
                add_slices(held, p, u, i);
    }
    json_t *o = json_pack("{s:s, s:s, s:o}", "name", n->name, "kind", n->job ? "job" : "service",
                          "slices", held);
    if (o && n->job)
        (void)json_object_set_new(o, "at_once", json_integer(n->at_once));
    if (o && !n->job) {
        (void)json_object_set_new(o, "rate", json_real(n->rate));
        (void)json_object_set_new(o, "target_ms", json_real(n->target_ms));
    }
    return o;
}

/* What proves the plan of boards that are planned together: prices and rents of each. */
static json_t *mixed_proof_json(const struct planned *p)
{
    json_t *boards = json_array(), *least = json_object();
    char name[BOARD_PROFILE_NAME];
    for (unsigned g = 0; g < p->fleet->n; g++) {
        const struct board *b = &p->fleet->groups[g].board;
        json_t *prices = json_object();
        for (unsigned f = 0; f < b->profile_n; f++)
            if (p->plan->price[g][f] > 0)
                (void)json_object_set_new(prices, board_profile_name(b, &b->profiles[f], name),
                                          json_real(p->plan->price[g][f]));
        (void)append(boards, json_pack("{s:s, s:i, s:f, s:o}", "board", b->name, "gpus_there",
                                       (int)p->fleet->groups[g].gpus, "rent",
                                       p->plan->proof.rent[g], "prices", prices));
    }
    for (unsigned i = 0; i < p->needs->n; i++)
        (void)json_object_set_new(least, p->needs->all[i].name, json_real(p->plan->proof.least[i]));
    return json_pack("{s:f, s:b, s:b, s:o, s:o}", "relaxed", p->plan->proof.sum, "searched",
                     p->plan->searched, "least_memory", p->plan->smallest, "boards", boards,
                     "least", least);
}

/* What proves the plan of one board. */
static json_t *proof_json(const struct planned *p, const struct fleet_use *u)
{
    const struct board *b = board_of(p, u);
    json_t *prices = json_object(), *least = json_object();
    char name[BOARD_PROFILE_NAME];
    for (unsigned f = 0; f < b->profile_n; f++)
        if (u->plan.price[f] > 0)
            (void)json_object_set_new(prices, board_profile_name(b, &b->profiles[f], name),
                                      json_real(u->plan.price[f]));
    for (unsigned i = 0; i < u->n; i++)
        (void)json_object_set_new(least, p->needs->all[u->need[i]].name,
                                  json_real(u->plan.least[i]));
    return json_pack("{s:s, s:i, s:i, s:f, s:o, s:o}", "board", b->name, "gpus", (int)u->plan.gpus,
                     "bound", (int)u->plan.bound, "relaxed", u->plan.relax, "prices", prices,
                     "least", least);
}

json_t *planned_json(const struct planned *p)
{
    struct list cuts = {p, json_array(), true};
    json_t *needs = json_array(), *proofs = json_array();
    int64_t there = 0;
    for (unsigned g = 0; g < p->fleet->n; g++)
        there += p->fleet->groups[g].gpus;
    for (unsigned i = 0; i < p->plan->n; i++) {
        fleet_cuts(&p->plan->uses[i], add_cut, &cuts);
        if (!p->plan->mixed)
            cuts.good &= append(proofs, proof_json(p, &p->plan->uses[i]));
    }
    if (p->plan->mixed)
        cuts.good &= append(proofs, mixed_proof_json(p));
    for (unsigned i = 0; i < p->needs->n; i++)
        cuts.good &= append(needs, need_json(p, i));
    json_t *all =
        json_pack("{s:b, s:b, s:f, s:I, s:i, s:i, s:o, s:o, s:o}", "fits", p->plan->part >= 1,
                  "proved", p->plan->proved, "part", p->plan->part, "gpus_there", (json_int_t)there,
                  "gpus_needed", (int)p->plan->gpus, "bound", (int)p->plan->bound, "layout",
                  cuts.to, "needs", needs, "proofs", proofs);
    if (all && cuts.good)
        return all;
    json_decref(all);
    return NULL;
}

/* Where in the plan of each group the next GPU is. */
struct cursor {
    const struct fleet_use *use;
    unsigned mix;
    uint32_t taken;
};

/* How the next GPU of a group is cut; NULL if it is not needed. */
static const struct table_mix *next_cut(struct cursor *c)
{
    unsigned n;
    if (!c->use)
        return NULL;
    const struct table_mix *mixes = table_pareto(c->use->table, &n);
    while (c->mix < n && c->taken == c->use->plan.mixes[c->mix]) {
        c->mix++;
        c->taken = 0;
    }
    if (c->mix == n)
        return NULL;
    c->taken++;
    return &mixes[c->mix];
}

/* The specs of one machine: GPUs cut alike are one entry. NULL without memory. */
static json_t *machine_specs(const struct planned *p, const struct fleet_part *part,
                             struct cursor *cursors)
{
    json_t *specs = json_array();
    for (unsigned g = 0; specs && g < part->gpu_n; g++) {
        struct cursor *c = &cursors[part->group[g]];
        const struct table_mix *mix = next_cut(c);
        size_t at = 0;
        if (!mix)
            continue;
        json_t *counts = mix_json(&p->fleet->groups[part->group[g]].board, mix);
        while (at < json_array_size(specs) &&
               !json_equal(json_object_get(json_array_get(specs, at), "mig-devices"), counts))
            at++;
        if (at == json_array_size(specs))
            (void)append(specs, json_pack("{s:[], s:b, s:O}", "devices", "mig-enabled", true,
                                          "mig-devices", counts));
        (void)append(json_object_get(json_array_get(specs, at), "devices"), json_integer(g));
        json_decref(counts);
    }
    return specs;
}

struct run {
    json_t *specs;
    uint64_t first, last; /* machines of the fleet, from 1 */
};

/* Ends a run of machines that are cut alike. */
static void put_run(json_t *configs, struct run *r, bool only)
{
    char label[64];
    if (only)
        (void)snprintf(label, sizeof label, "plan");
    else if (r->first == r->last)
        (void)snprintf(label, sizeof label, "machine-%" PRIu64, r->first);
    else
        (void)snprintf(label, sizeof label, "machines-%" PRIu64 "-%" PRIu64, r->first, r->last);
    if (r->specs && json_array_size(r->specs))
        (void)json_object_set(configs, label, r->specs);
    json_decref(r->specs);
    r->specs = NULL;
}

json_t *planned_layout(const struct planned *p)
{
    struct cursor cursors[MACHINE_BOARDS] = {0};
    struct run run = {0};
    uint64_t machine = 0;
    json_t *configs = json_object();
    bool only = p->fleet->part_n == 1 && p->fleet->parts[0].machines == 1;
    for (unsigned i = 0; i < p->plan->n; i++)
        cursors[p->plan->uses[i].group].use = &p->plan->uses[i];
    for (unsigned i = 0; configs && i < p->fleet->part_n; i++) {
        for (uint32_t m = 0; m < p->fleet->parts[i].machines; m++) {
            json_t *specs = machine_specs(p, &p->fleet->parts[i], cursors);
            machine++;
            if (run.specs && json_equal(run.specs, specs)) {
                json_decref(specs);
            } else {
                put_run(configs, &run, only);
                run = (struct run){.specs = specs, .first = machine};
            }
            run.last = machine;
        }
    }
    put_run(configs, &run, only);
    return json_pack("{s:s, s:o}", "version", "v1", "mig-configs", configs);
}

/* What a unit runs: the user's command, or modelled work for a model with figures. */
static bool command_of(const struct need *n, const struct needs_offer *o, double rate,
                       struct str *out)
{
    if (n->command[0])
        str_add(out, n->command);
    else if (!n->job && n->work.model >= 0)
        str_addf(out, "fetta emulate load --model %s --batch %u --rate %.4g/s --for 3650d",
                 n->work.name, o->batch, rate);
    return out->len > 0;
}

static int write_unit(const struct planned *p, const struct fleet_use *u, unsigned i,
                      unsigned profile, const char *folder, unsigned number, struct error *err)
{
    const struct board *b = board_of(p, u);
    const struct need *n = &p->needs->all[u->need[i]];
    AUTO_STR struct str command = {0}, text = {0};
    char name[BOARD_PROFILE_NAME], path[PATH_MAX];
    AUTO_FD int fd = -1;
    board_profile_name(b, &b->profiles[profile], name);
    (void)command_of(n, &u->offer[i][profile], fleet_share(u, i, profile), &command);
    str_addf(&text,
             "# Made by fetta plan.\n[Unit]\nDescription=%s, number %u, on a %s slice of its own\n"
             "Wants=fettad.service\nAfter=fettad.service\n\n[Service]\n"
             "ExecStart=fetta run -s %s -- %s\nRestart=on-failure\nRestartSec=2\n\n"
             "[Install]\nWantedBy=multi-user.target\n",
             n->name, number, name, name, command.text);
    if (text.failed || command.failed)
        return error_set(err, ERROR_NO_MEMORY, "no memory left for the units");
    if (snprintf(path, sizeof path, "%s/fetta-%s-%u.service", folder, n->name, number) >=
        (int)sizeof path)
        return error_set(err, ERROR_INVALID, "--emit: the folder's name is too long");
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return error_errno(err, ERROR_IO, errno, "cannot write %s", path);
    return fd_write_all(fd, text.text, text.len, err);
}

/* The units of one need on one board; *number counts those of the need. */
static int write_units(const struct planned *p, const struct fleet_use *u, unsigned i,
                       const char *folder, unsigned *number, struct error *err)
{
    for (unsigned f = 0; f < BOARD_PROFILES; f++)
        for (uint32_t k = 0; k < u->plan.replicas[i][f]; k++) {
            int rc = write_unit(p, u, i, f, folder, ++*number, err);
            if (rc < 0)
                return rc;
        }
    return 0;
}

int planned_units(const struct planned *p, const char *folder, unsigned *ret_n,
                  struct str *ret_without, struct error *err)
{
    unsigned numbers[SERVE_MAX] = {0};
    *ret_n = 0;
    if (mkdir(folder, 0777) < 0 && errno != EEXIST)
        return error_errno(err, ERROR_IO, errno, "cannot make the folder %s", folder);
    for (unsigned k = 0; k < p->plan->n; k++) {
        const struct fleet_use *u = &p->plan->uses[k];
        for (unsigned i = 0; i < u->n; i++) {
            const struct need *n = &p->needs->all[u->need[i]];
            if (!n->command[0] && (n->job || n->work.model < 0)) {
                str_addf(ret_without, "%s%s", ret_without->len ? ", " : "", n->name);
                continue;
            }
            int rc = write_units(p, u, i, folder, &numbers[u->need[i]], err);
            if (rc < 0)
                return rc;
        }
    }
    for (unsigned i = 0; i < p->needs->n; i++)
        *ret_n += numbers[i];
    return 0;
}
