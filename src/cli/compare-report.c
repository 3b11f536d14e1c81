/* The report of `fetta compare`: the verdicts and the table as on a terminal, and what does not fit
 * there: how latencies are spread, how GPUs are cut, and how busy jobs keep them. */
#include "cli/compare.h"

#include "base/macro.h"
#include "base/time.h"
#include "draw/chart.h"
#include "draw/figure.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Where pictures begin, beside the names of their rows. */
enum { NAMES = 130, WIDE = 620 };

static void cell(struct page *p, bool known, const char *fmt, double value)
{
    char text[32] = "-";
    if (known && fmt[0] == 'i')
        (void)snprintf(text, sizeof text, "%.0f", value);
    else if (known && fmt[0] == '2')
        (void)snprintf(text, sizeof text, "%.2f", value);
    else if (known)
        (void)snprintf(text, sizeof text, value < 100 ? "%.3g" : "%.0f", value);
    page_element(p, "td", "n", text);
}

static void row(const struct compare_all *all, const struct compare_system *s,
                const struct compare_row *r, struct page *p)
{
    const struct compare_service *tight = &r->services[r->tight];
    bool served = tight->p99 > 0;
    char buf[TIME_TEXT];
    page_markupf(p, "<tr><td class=\"name\"><b>%s</b></td>", compare_way_name(r->way));
    if (r->why_not[0]) {
        page_markup(p, "<td colspan=\"10\" class=\"dim\">");
        page_escape(p->out, r->why_not);
        page_markup(p, "</td></tr>\n");
        return;
    }
    page_markupf(p, "<td class=\"n%s\">%u of %u</td>", r->fits ? "" : " late", r->gpus, s->gpus);
    cell(p, served, "", r->rate);
    page_markupf(p, "<td class=\"n%s\">", served && !tight->in_time ? " late" : "");
    if (served) {
        page_markupf(p, "%.3g / %.3g / %.3g<br/><span class=\"dim\">", tight->p50, tight->p95,
                     tight->p99);
        page_escape(p->out, all->needs.all[r->tight].name);
        page_markupf(p, ", target %g</span></td>", all->needs.all[r->tight].target_ms);
    } else {
        page_markup(p, "-</td>");
    }
    cell(p, r->users > 0, "i", r->users);
    cell(p, r->utilisation >= 0, "i", 100 * r->utilisation);
    page_element(p, "td", "n",
                 r->jobs.known ? time_format((int64_t)(r->jobs.makespan + 0.5) * TIME_S, buf)
                               : "-");
    cell(p, r->watts > 0 && r->rate > 0, "", r->rate > 0 ? r->watts / r->rate : 0);
    cell(p, r->usd_hour > 0, "2", r->usd_hour);
    page_markupf(p, "<td>%s</td><td>%s</td></tr>\n", compare_isolates(r->way),
                 r->apart ? "sharing takes more GPUs: each service has GPUs of its own here"
                          : compare_shares(r->way));
}

static void rows(const struct compare_all *all, const struct compare_system *s, struct page *p)
{
    page_markup(p, "<div class=\"wide\"><table><tr><th>shared by</th><th class=\"n\">GPUs</th>"
                   "<th class=\"n\">req/s</th><th class=\"n\">p50 / p95 / p99 ms</th>"
                   "<th class=\"n\">users</th><th class=\"n\">busy %</th><th class=\"n\">jobs end"
                   "</th><th class=\"n\">J/req</th><th class=\"n\">$/h</th><th>kept apart</th>"
                   "<th>shared</th></tr>\n");
    for (unsigned w = 0; w < COMPARE_WAYS; w++)
        row(all, s, &s->rows[w], p);
    page_table_end(p);
}

/* GPUs needed, and of them what is busy. */
static void gpu_bars(const struct compare_system *s, struct page *p)
{
    uint32_t most = 0;
    char text[64];
    for (unsigned w = 0; w < COMPARE_WAYS; w++)
        most = MAX(most, s->rows[w].why_not[0] ? 0 : s->rows[w].gpus);
    if (most == 0) /* no services, or nothing serves them */
        return;
    most = MAX(most, s->gpus);
    double unit = (double)WIDE / most, there = NAMES + unit * s->gpus;
    page_element(p, "h3", NULL, "GPUs needed for services, and the part of them that is at work");
    figure_begin(p, 30 * COMPARE_WAYS + 24, "GPUs needed by way of sharing",
                 "A bar for each way of sharing; its dark part is how busy the SMs are.");
    figure_line(p, there, 0, there, 30 * COMPARE_WAYS, "mark");
    for (unsigned w = 0; w < COMPARE_WAYS; w++) {
        const struct compare_row *r = &s->rows[w];
        double y = 30.0 * w + 4, busy = MAX(r->utilisation, 0);
        figure_word(p, NAMES - 10, y + 15, "end", NULL, compare_way_name(w));
        if (r->why_not[0]) {
            bool under = there < NAMES + WIDE / 2.0; /* beside the line, not under it */
            figure_word(p, under ? there + 8 : NAMES, y + 15, "start", "dim", r->why_not);
            continue;
        }
        (void)snprintf(text, sizeof text, "%u GPU%s, %.0f %% busy", r->gpus,
                       r->gpus == 1 ? "" : "s", 100 * busy);
        figure_box(p, NAMES, y, unit * r->gpus, 21, "f0 pale", text);
        figure_box(p, NAMES, y, unit * r->gpus * busy, 21, "f0", text);
        figure_word(p, NAMES + 8 + unit * r->gpus, y + 15, "start", NULL, text);
    }
    (void)snprintf(text, sizeof text, "there %s %u", s->gpus == 1 ? "is" : "are", s->gpus);
    figure_word(p, there, 30 * COMPARE_WAYS + 16, "middle", NULL, text);
    figure_end(p, NULL);
}

/* One service: the distribution of its latencies in each way, and its target. */
static void latency_of(const struct compare_all *all, const struct compare_system *s, unsigned i,
                       struct page *p)
{
    const struct need *n = &all->needs.all[i];
    char title[160];
    double parts[COMPARE_CURVE];
    struct chart c = {.title = title,
                      .about = "Lines of the part of requests that is answered within a time, by "
                               "way of sharing; the target is a vertical line.",
                      .x = {"ms from arrival to answer", CHART_LOG},
                      .y = {"requests answered within", CHART_NINES}};
    for (unsigned k = 0; k < COMPARE_CURVE; k++)
        parts[k] = 100 * compare_curve_part(k);
    (void)snprintf(title, sizeof title, "%s: latencies at %g requests per second", n->name,
                   n->rate);
    chart_mark(&c, n->target_ms, "target %g ms", n->target_ms);
    for (unsigned w = 0; w < COMPARE_WAYS; w++) {
        const struct compare_service *v = &s->rows[w].services[i];
        bool known = v->p99 > 0 && isfinite(v->p99) && !s->rows[w].why_not[0];
        chart_add(&c, known ? COMPARE_CURVE : 0, v->curve, parts, false, "%s, 99 %% in %.3g ms%s",
                  compare_way_name(w), v->p99, v->in_time ? "" : " (late)");
    }
    chart_draw(&c, p);
}

/* How much of the GPUs that services leave is at work for jobs. */
static void jobs_course(const struct compare_system *s, struct page *p)
{
    struct chart c = {
        .title = "Jobs: the part of the GPUs they have that is at work",
        .about = "Lines over time, by way of sharing, until the last job ends.",
        .caption = "Of the GPUs that services leave, each counted by what jobs need of it: a job "
                   "that needs a seventh of a GPU keeps no more than that at work.",
        .x = {"from the start of all jobs", CHART_TIME},
        .y = {"% at work", CHART_LINEAR}};
    bool any = false;
    double x[COMPARE_WAYS][COMPARE_COURSE + 1], y[COMPARE_WAYS][COMPARE_COURSE + 1];
    char buf[TIME_TEXT];
    for (unsigned w = 0; w < COMPARE_WAYS; w++) {
        const struct compare_jobs *j = &s->rows[w].jobs;
        bool known = j->known && j->course_n > 0;
        any = any || known;
        for (unsigned k = 0; k < j->course_n; k++) {
            x[w][k] = j->course_at[k];
            y[w][k] = 100 * j->course_busy[k];
        }
        x[w][j->course_n] = j->makespan;
        y[w][j->course_n] = 0;
        chart_add(&c, known ? j->course_n + 1 : 0, x[w], y[w], true, "%s, all end after %s",
                  compare_way_name(w), time_format((int64_t)(j->makespan + 0.5) * TIME_S, buf));
    }
    if (any)
        chart_draw(&c, p);
}

static void one_layout(const struct board *b, const struct compare_mix *m, double y, struct page *p)
{
    char name[BOARD_PROFILE_NAME], text[48];
    struct layout l = {0};
    double unit = (double)WIDE / b->memory_slices;
    (void)snprintf(text, sizeof text, "%u GPU%s", m->gpus, m->gpus == 1 ? "" : "s");
    figure_word(p, NAMES - 10, y + 20, "end", NULL, text);
    figure_box(p, NAMES, y, unit * b->memory_slices, 30, "free", "free");
    /* Large slices first, so that all of them find a place. */
    for (unsigned i = b->profile_n; i-- > 0;)
        for (unsigned k = 0; k < m->n[i]; k++) {
            int start = layout_choose(b, &l, i);
            if (start < 0)
                continue;
            layout_add(b, &l, (struct placement){(uint8_t)i, (uint8_t)start});
            board_profile_name(b, &b->profiles[i], name);
            figure_cell(p, NAMES + unit * start, y, unit * b->profiles[i].size, 30,
                        figure_shade(b->profiles[i].compute, false), name);
        }
}

static void layouts(const struct compare_system *s, enum compare_way way, struct page *p)
{
    const struct compare_row *r = &s->rows[way];
    char title[64];
    if (r->why_not[0] || r->mix_n == 0)
        return;
    (void)snprintf(title, sizeof title, "How GPUs are cut: %s", compare_way_name(way));
    page_element(p, "h3", NULL, title);
    figure_begin(p, 38 * r->mix_n, title,
                 "A row for each layout, with the slices in it; as wide as their memory.");
    for (unsigned m = 0; m < r->mix_n; m++)
        one_layout(s->board, &r->mixes[m], 38.0 * m, p);
    figure_end(p, NULL);
}

static void claims(const struct compare_all *all, const struct compare_system *s, struct page *p)
{
    struct compare_verdict v[COMPARE_CLAIMS];
    compare_judge(&all->needs, s, v);
    if (s->board->memory_slices == 0)
        return;
    page_element(p, "h3", NULL, "What is claimed for MIG, for this work");
    page_table(p, (const char *const[]){"claim", "holds", "figure", "condition", NULL}, 4);
    for (unsigned i = 0; i < COMPARE_CLAIMS; i++) {
        page_markupf(p, "<tr><td>%u %s</td>", i + 1, v[i].claim);
        page_element(p, "td", v[i].holds, v[i].holds);
        page_element(p, "td", NULL, v[i].figure);
        page_element(p, "td", NULL, v[i].condition);
        page_markup(p, "</tr>\n");
    }
    page_table_end(p);
}

static void system_part(const struct compare_all *all, const struct compare_system *s,
                        struct page *p)
{
    char advice[COMPARE_TEXT];
    const char *source;
    double price = compare_price(s->board->name, &source);
    compare_advise(&all->needs, s, advice);
    page_markup(p, "<section class=\"part\">\n");
    page_element(p, "h2", NULL, s->name);
    page_markupf(p, "<p class=\"dim\">%u x ", s->gpus);
    page_escape(p->out, s->board->product);
    if (s->unified_memory)
        page_markup(p, "; one memory with the CPU");
    if (source)
        page_markupf(p, "; $%.2f per GPU and hour (%s)", price, source);
    page_markup(p, "</p>\n");
    page_element(p, "p", "advice", advice);
    rows(all, s, p);
    gpu_bars(s, p);
    layouts(s, COMPARE_FETTA, p);
    layouts(s, COMPARE_STATIC, p);
    for (unsigned i = 0; i < all->needs.n; i++)
        if (!all->needs.all[i].job)
            latency_of(all, s, i, p);
    jobs_course(s, p);
    claims(all, s, p);
    page_markup(p, "</section>\n");
}

static void again(const struct compare_all *all, struct page *p)
{
    AUTO_STR struct str line = {0};
    str_addf(&line, "fetta compare -f %s --systems ", all->file);
    for (unsigned i = 0; i < all->n; i++)
        str_addf(&line, "%s%s", i ? "," : "", all->systems[i].name);
    str_addf(&line, " --seed %llu --report FILE", (unsigned long long)all->seed);
    page_element(p, "p", NULL, "The same report again:");
    page_element(p, "pre", NULL, line.text ? line.text : "");
}

void compare_report(const struct compare_all *all, struct str *out)
{
    struct page p;
    char title[64];
    (void)snprintf(title, sizeof title, "The same work on %u system%s", all->n,
                   all->n == 1 ? "" : "s");
    page_begin(&p, out, title);
    page_markup(&p, "<p>Work: ");
    page_escape(out, all->file);
    page_markupf(&p,
                 ". Service times are measured or predicted by the model of docs/sharing.md, "
                 "requests arrive at random (seed %llu), percentiles in tables are those of the "
                 "service nearest to its target. Nothing here was run on a GPU.</p>\n<ul>\n",
                 (unsigned long long)all->seed);
    for (unsigned i = 0; i < all->n; i++) {
        char advice[COMPARE_TEXT];
        compare_advise(&all->needs, &all->systems[i], advice);
        page_markup(&p, "<li><b>");
        page_escape(out, all->systems[i].name);
        page_markup(&p, "</b>: ");
        page_escape(out, advice);
        page_markup(&p, "</li>\n");
    }
    page_markup(&p, "</ul>\n");
    again(all, &p);
    for (unsigned i = 0; i < all->n; i++)
        system_part(all, &all->systems[i], &p);
    page_end(&p);
}
