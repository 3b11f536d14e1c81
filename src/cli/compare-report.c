/* The report of `fetta compare`: one HTML page with its pictures as SVG, no script, nothing
 * fetched, in colours that can be told apart in grey and on paper. */
#include "cli/compare.h"

#include "base/macro.h"
#include "base/time.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char style[] =
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#1b1f24}h1{font-size:1.6rem}h2{margin-top:2.5rem;border-bottom:2px solid #1b1f24;"
    "padding-bottom:.2rem}h3{margin:1.6rem 0 .4rem;font-size:1rem}"
    "table{border-collapse:collapse;width:100%;font-size:13px}"
    "th{text-align:left;border-bottom:1px solid #1b1f24}td,th{padding:.25rem .5rem .25rem 0;"
    "vertical-align:top}td.n,th.n{text-align:right;white-space:nowrap;"
    "font-variant-numeric:tabular-nums}"
    "tr+tr td{border-top:1px solid #dde1e6}.advice{background:#eef4fb;border-left:4px solid "
    "#2563a8;padding:.6rem 1rem;font-weight:600}.late{color:#b3261e;font-weight:600}"
    ".dim{color:#68707a}svg{display:block;width:100%;height:auto}svg text{font:12px "
    "system-ui,sans-serif;fill:#1b1f24}.yes{color:#1a7f37}.no{color:#b3261e}.partly{color:#9a6700}"
    "@media print{body{margin:0;max-width:none;font-size:11px}h2{break-before:page}"
    "h2:first-of-type{break-before:auto}svg,table{break-inside:avoid}}";

static const char *const colours[] = {"#2563a8", "#d1862a", "#3c8f5a", "#9c4f9c",
                                      "#b3433a", "#5b7a8c", "#8a7a2f", "#4a4aa0"};

/* Text of others into a page. */
static void escaped(struct str *out, const char *text)
{
    for (; *text; text++) {
        const char *entity = *text == '<'   ? "&lt;"
                             : *text == '>' ? "&gt;"
                             : *text == '&' ? "&amp;"
                             : *text == '"' ? "&quot;"
                                            : NULL;
        if (entity)
            str_add(out, entity);
        else if ((unsigned char)*text >= ' ')
            str_add_n(out, text, 1);
    }
}

static void cell(struct str *out, bool known, const char *fmt, double value)
{
    char text[32] = "-";
    if (known && fmt[0] == 'i')
        (void)snprintf(text, sizeof text, "%.0f", value);
    else if (known && fmt[0] == '2')
        (void)snprintf(text, sizeof text, "%.2f", value);
    else if (known)
        (void)snprintf(text, sizeof text, value < 100 ? "%.3g" : "%.0f", value);
    str_addf(out, "<td class=\"n\">%s</td>", text);
}

static void row(const struct compare_all *all, const struct compare_system *s,
                const struct compare_row *r, struct str *out)
{
    const struct compare_service *tight = &r->services[r->tight];
    bool served = tight->p99 > 0;
    char buf[TIME_TEXT];
    str_addf(out, "<tr><td><b>%s</b></td>", compare_way_name(r->way));
    if (r->why_not[0]) {
        str_add(out, "<td colspan=\"10\" class=\"dim\">");
        escaped(out, r->why_not);
        str_add(out, "</td></tr>\n");
        return;
    }
    str_addf(out, "<td class=\"n%s\">%u of %u</td>", r->fits ? "" : " late", r->gpus, s->gpus);
    cell(out, served, "", r->rate);
    str_addf(out, "<td class=\"n%s\">", served && !tight->in_time ? " late" : "");
    if (served) {
        str_addf(out, "%.3g / %.3g / %.3g<br/><span class=\"dim\">", tight->p50, tight->p95,
                 tight->p99);
        escaped(out, all->needs.all[r->tight].name);
        str_addf(out, ", target %g</span></td>", all->needs.all[r->tight].target_ms);
    } else {
        str_add(out, "-</td>");
    }
    cell(out, r->users > 0, "i", r->users);
    cell(out, r->utilisation >= 0, "i", 100 * r->utilisation);
    str_addf(out, "<td class=\"n\">%s</td>",
             r->jobs.known ? time_format((int64_t)(r->jobs.makespan + 0.5) * TIME_S, buf) : "-");
    cell(out, r->watts > 0 && r->rate > 0, "", r->rate > 0 ? r->watts / r->rate : 0);
    cell(out, r->usd_hour > 0, "2", r->usd_hour);
    str_addf(out, "<td>%s</td><td>%s</td></tr>\n", compare_isolates(r->way),
             r->apart ? "sharing takes more GPUs: each service has GPUs of its own here"
                      : compare_shares(r->way));
}

static void rows(const struct compare_all *all, const struct compare_system *s, struct str *out)
{
    str_add(out,
            "<table><tr><th>shared by</th><th class=\"n\">GPUs</th><th class=\"n\">req/s</th>"
            "<th class=\"n\">p50 / p95 / p99 ms</th><th class=\"n\">users</th>"
            "<th class=\"n\">busy %</th><th class=\"n\">jobs end</th><th class=\"n\">J/req</th>"
            "<th class=\"n\">$/h</th><th>kept apart</th><th>shared</th></tr>\n");
    for (unsigned w = 0; w < COMPARE_WAYS; w++)
        row(all, s, &s->rows[w], out);
    str_add(out, "</table>\n");
}

static void open_svg(struct str *out, unsigned height, const char *what)
{
    str_addf(out, "<svg viewBox=\"0 0 900 %u\" role=\"img\" aria-label=\"%s\">\n", height, what);
}

static void word(struct str *out, double x, double y, const char *anchor, const char *text)
{
    str_addf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
    escaped(out, text);
    str_add(out, "</text>\n");
}

static void box(struct str *out, double x, double y, double width, double height, const char *fill,
                const char *title)
{
    str_addf(out,
             "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\" "
             "stroke=\"#fff\"><title>",
             x, y, width, height, fill);
    escaped(out, title);
    str_add(out, "</title></rect>\n");
}

/* GPUs needed, and of them what is busy. */
static void gpu_bars(const struct compare_system *s, struct str *out)
{
    uint32_t most = s->gpus;
    char text[64];
    for (unsigned w = 0; w < COMPARE_WAYS; w++)
        most = MAX(most, s->rows[w].why_not[0] ? 0 : s->rows[w].gpus);
    double unit = 640.0 / most;
    str_add(out, "<h3>GPUs needed, and the part of them that is at work (dark)</h3>\n");
    open_svg(out, 30 * COMPARE_WAYS + 24, "GPUs needed by way of sharing");
    for (unsigned w = 0; w < COMPARE_WAYS; w++) {
        const struct compare_row *r = &s->rows[w];
        double y = 30.0 * w + 4;
        word(out, 120, y + 15, "end", compare_way_name(w));
        if (r->why_not[0]) {
            word(out, 130, y + 15, "start", r->why_not);
            continue;
        }
        (void)snprintf(text, sizeof text, "%u GPUs, %.0f %% busy", r->gpus,
                       100 * MAX(r->utilisation, 0));
        box(out, 130, y, unit * r->gpus, 21, "#c3d4e8", text);
        box(out, 130, y, unit * r->gpus * MAX(r->utilisation, 0), 21, "#2563a8", text);
        word(out, 136 + unit * r->gpus, y + 15, "start", text);
    }
    double x = 130 + unit * s->gpus;
    str_addf(out,
             "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"0\" y2=\"%d\" stroke=\"#b3261e\" "
             "stroke-dasharray=\"4 3\"/>\n",
             x, x, 30 * COMPARE_WAYS);
    (void)snprintf(text, sizeof text, "there %s %u", s->gpus == 1 ? "is" : "are", s->gpus);
    word(out, x, 30 * COMPARE_WAYS + 16, "middle", text);
    str_add(out, "</svg>\n");
}

/* One service: a line from p50 to p99 per way, on a logarithmic axis, with its target. */
static void latency_of(const struct compare_all *all, const struct compare_system *s, unsigned i,
                       struct str *out)
{
    const struct need *n = &all->needs.all[i];
    double low = n->target_ms, high = n->target_ms;
    char text[96];
    for (unsigned w = 0; w < COMPARE_WAYS; w++) {
        const struct compare_service *v = &s->rows[w].services[i];
        if (v->p99 > 0 && isfinite(v->p99) && !s->rows[w].why_not[0]) {
            low = fmin(low, v->p50);
            high = fmax(high, v->p99);
        }
    }
    double from = log(low) - 0.1, scale = 600 / (log(high) + 0.1 - from);
    str_add(out, "<h3>");
    escaped(out, n->name);
    str_addf(out, ": p50, p95 and p99 in ms (logarithmic), %g requests per second</h3>\n", n->rate);
    open_svg(out, 26 * COMPARE_WAYS + 24, "latency by way of sharing");
    for (unsigned w = 0; w < COMPARE_WAYS; w++) {
        const struct compare_service *v = &s->rows[w].services[i];
        double y = 26.0 * w + 14;
        word(out, 120, y + 4, "end", compare_way_name(w));
        if (!(v->p99 > 0) || !isfinite(v->p99) || s->rows[w].why_not[0]) {
            word(out, 130, y + 4, "start", "-");
            continue;
        }
        double a = 130 + (log(v->p50) - from) * scale, b = 130 + (log(v->p95) - from) * scale;
        double c = 130 + (log(v->p99) - from) * scale;
        const char *colour = v->in_time ? "#2563a8" : "#b3261e";
        str_addf(out,
                 "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" "
                 "stroke-width=\"6\" stroke-linecap=\"round\"/>\n<circle cx=\"%.1f\" cy=\"%.1f\" "
                 "r=\"5\" fill=\"#fff\" stroke=\"%s\" stroke-width=\"2\"/>\n<circle cx=\"%.1f\" "
                 "cy=\"%.1f\" r=\"4\" fill=\"%s\"/>\n",
                 a, c, y, y, colour, b, y, colour, c, y, colour);
        (void)snprintf(text, sizeof text, "%.3g / %.3g / %.3g", v->p50, v->p95, v->p99);
        word(out, c + 12, y + 4, "start", text);
    }
    double x = 130 + (log(n->target_ms) - from) * scale;
    str_addf(out,
             "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"0\" y2=\"%d\" stroke=\"#1b1f24\" "
             "stroke-dasharray=\"4 3\"/>\n",
             x, x, 26 * COMPARE_WAYS);
    (void)snprintf(text, sizeof text, "target %g ms", n->target_ms);
    word(out, x, 26 * COMPARE_WAYS + 16, "middle", text);
    str_add(out, "</svg>\n");
}

static void one_layout(const struct board *b, const struct compare_mix *m, double y,
                       struct str *out)
{
    char name[BOARD_PROFILE_NAME], text[48];
    struct layout l = {0};
    double unit = 640.0 / b->memory_slices;
    (void)snprintf(text, sizeof text, "%u GPU%s", m->gpus, m->gpus == 1 ? "" : "s");
    word(out, 120, y + 20, "end", text);
    box(out, 130, y, unit * b->memory_slices, 30, "#eceff2", "free");
    /* Large slices first, so that all of them find a place. */
    for (unsigned p = b->profile_n; p-- > 0;)
        for (unsigned k = 0; k < m->n[p]; k++) {
            int start = layout_choose(b, &l, p);
            if (start < 0)
                continue;
            layout_add(b, &l, (struct placement){(uint8_t)p, (uint8_t)start});
            board_profile_name(b, &b->profiles[p], name);
            double x = 130 + unit * start, width = unit * b->profiles[p].size;
            box(out, x, y, width, 30, colours[p % ARRAY_LEN(colours)], name);
            str_addf(out,
                     "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\" style=\"fill:#fff\">%s"
                     "</text>\n",
                     x + width / 2, y + 20, name);
        }
}

static void layouts(const struct compare_system *s, enum compare_way way, struct str *out)
{
    const struct compare_row *r = &s->rows[way];
    if (r->why_not[0] || r->mix_n == 0)
        return;
    str_addf(out, "<h3>How GPUs are cut: %s</h3>\n", compare_way_name(way));
    open_svg(out, 38 * r->mix_n, "layouts of GPUs");
    for (unsigned m = 0; m < r->mix_n; m++)
        one_layout(s->board, &r->mixes[m], 38.0 * m, out);
    str_add(out, "</svg>\n");
}

static void claims(const struct compare_all *all, const struct compare_system *s, struct str *out)
{
    struct compare_verdict v[COMPARE_CLAIMS];
    compare_judge(&all->needs, s, v);
    if (s->board->memory_slices == 0)
        return;
    str_add(out, "<h3>What is claimed for MIG, for this work</h3>\n<table><tr><th>claim</th>"
                 "<th>holds</th><th>figure</th><th>condition</th></tr>\n");
    for (unsigned i = 0; i < COMPARE_CLAIMS; i++) {
        str_addf(out, "<tr><td>%u %s</td><td class=\"%s\">%s</td><td>", i + 1, v[i].claim,
                 v[i].holds, v[i].holds);
        escaped(out, v[i].figure);
        str_add(out, "</td><td>");
        escaped(out, v[i].condition);
        str_add(out, "</td></tr>\n");
    }
    str_add(out, "</table>\n");
}

static void system_page(const struct compare_all *all, const struct compare_system *s,
                        struct str *out)
{
    char advice[COMPARE_TEXT];
    const char *source;
    double price = compare_price(s->board->name, &source);
    compare_advise(&all->needs, s, advice);
    str_add(out, "<h2>");
    escaped(out, s->name);
    str_addf(out, "</h2>\n<p class=\"dim\">%u x ", s->gpus);
    escaped(out, s->board->product);
    if (s->unified_memory)
        str_add(out, "; one memory with the CPU");
    if (source)
        str_addf(out, "; $%.2f per GPU and hour (%s)", price, source);
    str_add(out, "</p>\n<p class=\"advice\">");
    escaped(out, advice);
    str_add(out, "</p>\n");
    rows(all, s, out);
    gpu_bars(s, out);
    for (unsigned i = 0; i < all->needs.n; i++)
        if (!all->needs.all[i].job)
            latency_of(all, s, i, out);
    layouts(s, COMPARE_FETTA, out);
    layouts(s, COMPARE_STATIC, out);
    claims(all, s, out);
}

void compare_report(const struct compare_all *all, struct str *out)
{
    str_add(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n<title>fetta "
                 "compare</title>\n<style>");
    str_add(out, style);
    str_add(out, "</style></head>\n<body>\n<h1>The same work on ");
    str_addf(out, "%u system%s</h1>\n<p>Work: ", all->n, all->n == 1 ? "" : "s");
    escaped(out, all->file);
    str_addf(out,
             ". Service times are measured or predicted by the model of docs/sharing.md, requests "
             "arrive at random (seed %llu), percentiles are those of the service nearest to its "
             "target. Nothing here was run on a GPU.</p>\n<ul>\n",
             (unsigned long long)all->seed);
    for (unsigned i = 0; i < all->n; i++) {
        char advice[COMPARE_TEXT];
        compare_advise(&all->needs, &all->systems[i], advice);
        str_add(out, "<li><b>");
        escaped(out, all->systems[i].name);
        str_add(out, "</b>: ");
        escaped(out, advice);
        str_add(out, "</li>\n");
    }
    str_add(out, "</ul>\n");
    for (unsigned i = 0; i < all->n; i++)
        system_page(all, &all->systems[i], out);
    str_add(out, "</body></html>\n");
}
