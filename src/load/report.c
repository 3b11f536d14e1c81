/* Lines and JSON of a report. */
#include "load/report.h"

#include "base/time.h"
#include "load/link.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static double ms(double ns)
{
    return ns / 1e6;
}

void report_names(unsigned sources, char ret[REPORT_NAMES])
{
    int at = 0;
    ret[0] = '\0';
    for (unsigned s = 0; s < WORK_SOURCES; s++)
        if (sources >> s & 1 && at >= 0 && at < REPORT_NAMES)
            at += snprintf(ret + at, REPORT_NAMES - (size_t)at, "%s%s", at ? ", " : "",
                           work_source_name(s));
}

static double per_second(const struct serve_report *r)
{
    return r->elapsed > 0 ? (double)r->served * 1e9 / (double)r->elapsed : 0;
}

/* How many times as long as alone; 1 before anything was served. */
static double slowed(const struct serve_report *r)
{
    return r->alone > 0 ? r->busy / r->alone : 1;
}

/* What the cost of neighbours rests on: measured if it was so for nine tenths of the time. */
static const char *cost_basis(const struct serve_report *r)
{
    bool measured = r->of_measured >= 0.9 * r->with_others;
    return work_basis_name(measured ? WORK_MEASURED : r->cost_basis);
}

static double busy_part(const struct serve_plan *p, const struct serve_report *r)
{
    int64_t of = p->rate > 0 ? r->elapsed : (int64_t)r->busy;
    return of > 0 ? r->busy / (double)of : 0;
}

/* A line with its mark in front. */
FORMAT(3, 4)
static void line(struct str *out, unsigned sources, const char *fmt, ...)
{
    char names[REPORT_NAMES], text[400];
    va_list args;
    report_names(sources, names);
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    str_addf(out, "modelled [%s]  %s\n", names, text);
}

static unsigned all_sources(const struct serve_report *r)
{
    return r->sources | r->cost_sources;
}

static void add_service(const struct serve_plan *p, const struct serve_report *r, struct str *out)
{
    struct work_time t = {0};
    struct error ignored;
    if (work_service(&p->work, &p->place, p->batch, &t, &ignored) < 0)
        return;
    line(out, 1u << t.source, "service   %.3g ms alone for a batch of %u, %s%s", ms((double)t.ns),
         p->batch, work_basis_name(t.basis),
         r->basis > t.basis ? "; smaller batches less certain" : "");
}

void report_lines(const struct serve_plan *p, const struct serve_report *r, struct str *out)
{
    char where[LINK_TEXT], rate[32] = "back to back", names[REPORT_NAMES];
    unsigned sources = all_sources(r);
    if (p->rate > 0)
        (void)snprintf(rate, sizeof rate, "%g/s", p->rate);
    line(out, sources, "work      %s, batches of up to %u, %s, on %s, %.1f GiB, %s", p->work.name,
         p->batch, rate, link_text(&p->device, where), (double)p->bytes / (1 << 30),
         p->mps ? "under MPS" : "not under MPS");
    line(out, sources,
         "served    %" PRIu64 " of %" PRIu64 " in %.1f s: %.1f/s; %" PRIu64 " refused, %" PRIu64
         " unfinished",
         r->served, r->offered, (double)r->elapsed / 1e9, per_second(r), r->refused, r->unfinished);
    line(out, sources, "latency   mean %.1f ms, p50 %.1f, p95 %.1f, p99 %.1f, most %.1f",
         ms(tally_mean(&r->latency)), ms(tally_quantile(&r->latency, 0.5)),
         ms(tally_quantile(&r->latency, 0.95)), ms(tally_quantile(&r->latency, 0.99)),
         ms((double)r->latency.most));
    line(out, sources, "queueing  mean %.1f ms, at most %u waited; busy %.0f %% of the time",
         ms(tally_mean(&r->wait)), r->queue_most, 100 * busy_part(p, r));
    add_service(p, r, out);
    if (r->others_most > 0) {
        report_names(r->cost_sources, names);
        line(out, r->cost_sources ? r->cost_sources : sources,
             "others    up to %u beside it: %.3f times as long as alone, %s", r->others_most,
             slowed(r), cost_basis(r));
    }
    for (unsigned s = 0; s < WORK_SOURCES; s++)
        if (sources >> s & 1)
            line(out, 1u << s, "source    %s", work_source_text(s));
}

void report_progress(const struct serve_plan *p, const struct serve_report *r, int64_t now,
                     struct str *out)
{
    char names[REPORT_NAMES];
    report_names(all_sources(r), names);
    str_addf(out,
             "modelled [%s]  %s  %.0f of %.0f s  %.1f/s  p50 %.1f ms  p99 %.1f  refused %" PRIu64
             "  %u beside it, %.2f x",
             names, p->work.name, (double)now / 1e9, (double)p->length / 1e9, per_second(r),
             ms(tally_quantile(&r->latency, 0.5)), ms(tally_quantile(&r->latency, 0.99)),
             r->refused, r->others_most, slowed(r));
}

static json_t *names_json(unsigned sources)
{
    json_t *list = json_array();
    for (unsigned s = 0; s < WORK_SOURCES; s++)
        if (sources >> s & 1)
            (void)json_array_append_new(list, json_string(work_source_name(s)));
    return list;
}

static json_t *texts_json(unsigned sources)
{
    json_t *texts = json_object();
    for (unsigned s = 0; s < WORK_SOURCES; s++)
        if (sources >> s & 1)
            (void)json_object_set_new(texts, work_source_name(s), json_string(work_source_text(s)));
    return texts;
}

static json_t *device_json(const struct emu_device *d)
{
    json_t *o =
        json_pack("{s:s, s:s, s:i}", "uuid", d->uuid, "board", d->board, "gpu", (int)d->gpu);
    if (d->gi >= 0)
        (void)json_object_update_new(
            o, json_pack("{s:s, s:i, s:i}", "profile", d->profile, "gi", d->gi, "ci", d->ci));
    return o;
}

static json_t *latency_json(const struct tally *t)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f}", "mean", ms(tally_mean(t)), "p50",
                     ms(tally_quantile(t, 0.5)), "p95", ms(tally_quantile(t, 0.95)), "p99",
                     ms(tally_quantile(t, 0.99)), "max", ms((double)t->most));
}

static json_t *service_json(const struct serve_plan *p, const struct serve_report *r)
{
    struct work_time t = {0};
    struct error ignored;
    (void)work_service(&p->work, &p->place, p->batch, &t, &ignored);
    return json_pack("{s:f, s:i, s:s, s:s, s:o}", "ms", ms((double)t.ns), "batch", (int)p->batch,
                     "basis", work_basis_name(t.basis), "least_certain", work_basis_name(r->basis),
                     "sources", names_json(r->sources));
}

static void print_json(json_t *o, struct str *out)
{
    char *text = json_dumps(o, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    if (text)
        str_addf(out, "%s\n", text);
    else
        out->failed = true;
    free(text);
    json_decref(o);
}

void report_json(const struct serve_plan *p, const struct serve_report *r, struct str *out)
{
    json_t *o =
        json_pack("{s:b, s:o, s:s, s:o, s:s, s:i, s:o, s:I, s:f}", "modelled", 1, "sources",
                  texts_json(all_sources(r)), "model", p->work.name, "device",
                  device_json(&p->device), "sharing", p->mps ? "mps" : "timeslice", "batch",
                  (int)p->batch, "rate", p->rate > 0 ? json_real(p->rate) : json_string("max"),
                  "memory_bytes", (json_int_t)p->bytes, "seconds", (double)r->elapsed / 1e9);
    (void)json_object_update_new(
        o, json_pack("{s:I, s:I, s:I, s:I, s:f, s:o, s:o, s:i, s:f, s:f}", "offered",
                     (json_int_t)r->offered, "served", (json_int_t)r->served, "refused",
                     (json_int_t)r->refused, "unfinished", (json_int_t)r->unfinished, "throughput",
                     per_second(r), "latency_ms", latency_json(&r->latency), "wait_ms",
                     latency_json(&r->wait), "queue_max", (int)r->queue_most, "busy",
                     busy_part(p, r), "late_ms", ms((double)r->late)));
    (void)json_object_set_new(o, "service", service_json(p, r));
    (void)json_object_set_new(
        o, "neighbours",
        json_pack("{s:i, s:f, s:s, s:o}", "most", (int)r->others_most, "factor", slowed(r), "basis",
                  work_basis_name(r->cost_basis), "sources", names_json(r->cost_sources)));
    print_json(o, out);
}

enum { BOARDS = 8 };

static void models_json(struct str *out)
{
    json_t *list = json_array();
    for (unsigned m = 0; m < work_models(); m++) {
        const char *boards[BOARDS];
        enum work_source sources[BOARDS];
        unsigned n = MIN(work_model_boards(m, boards, sources, BOARDS), (unsigned)BOARDS);
        json_t *measured = json_array();
        for (unsigned i = 0; i < n; i++)
            (void)json_array_append_new(measured, json_pack("{s:s, s:s, s:s}", "board", boards[i],
                                                            "source", work_source_name(sources[i]),
                                                            "text", work_source_text(sources[i])));
        (void)json_array_append_new(list, json_pack("{s:b, s:s, s:s, s:o}", "modelled", 1, "name",
                                                    work_model_name(m), "sample",
                                                    work_model_text(m), "measured", measured));
    }
    print_json(list, out);
}

void report_models(bool json, struct str *out)
{
    unsigned used = 0;
    if (json) {
        models_json(out);
        return;
    }
    for (unsigned m = 0; m < work_models(); m++) {
        const char *boards[BOARDS];
        enum work_source sources[BOARDS];
        unsigned n = MIN(work_model_boards(m, boards, sources, BOARDS), (unsigned)BOARDS);
        str_addf(out, "%-21s %-42s", work_model_name(m), work_model_text(m));
        for (unsigned i = 0; i < n; i++) {
            str_addf(out, "%s%s [%s]", i ? ", " : " measured on ", boards[i],
                     work_source_name(sources[i]));
            used |= 1u << sources[i];
        }
        str_add(out, "\n");
    }
    str_add(out, "\n");
    for (unsigned s = 0; s < WORK_SOURCES; s++)
        if (used >> s & 1)
            str_addf(out, "[%s]  %s\n", work_source_name(s), work_source_text(s));
    str_add(
        out,
        "\nOn other boards and sizes times are predicted, and the report says so. A measurement "
        "of your own:\n--service-ms MS --slice 1g (or 2g ... 7g, or whole), taken on the "
        "board that it runs on.\n");
}
