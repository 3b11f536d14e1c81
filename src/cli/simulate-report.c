/* The report of `fetta simulate`: what the table on a terminal sums up, as it went over time. */
#include "cli/simulate-report.h"

#include "base/macro.h"
#include "base/time.h"
#include "draw/axis.h"
#include "draw/chart.h"
#include "draw/figure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Timelines are large, so that only some policies have them; with few boxes each has a name. */
enum { TIMELINES = 8, NAMED = 1500 };

/* The picture of GPUs over time. */
enum { LEFT = 62, RIGHT = 24, GAP = 7 };

/* Points of a line, one for each policy. */
struct line {
    double x[RECORD_PARTS + 1], y[RECORD_PARTS + 1];
};

static const char *name_of(const struct simulate_policy *p, char *buf, size_t size)
{
    (void)snprintf(buf, size, p->rule ? "%s (%s)" : "%s", p->name, p->rule);
    return buf;
}

static double per_cent(double part, double of)
{
    return of > 0 ? 100 * part / of : 0;
}

void simulate_report_command(int argc, char **argv, struct str *out)
{
    str_add(out, "fetta");
    for (int i = 0; i < argc; i++) {
        bool plain = argv[i][0] && strspn(argv[i], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTU"
                                                   "VWXYZ0123456789-_./:,+=@") == strlen(argv[i]);
        str_add(out, plain ? " " : " '");
        for (const char *c = argv[i]; *c; c++)
            if (*c == '\'')
                str_add(out, "'\\''");
            else
                str_add_n(out, c, 1);
        str_add(out, plain ? "" : "'");
    }
}

static void table(const struct simulate_page *s, struct page *p)
{
    static const char *const heads[] = {"policy", "jobs %", "GPC %",  "busy %",  "stranded %",
                                        "frag %", "GPUs",   "wait s", "p95",     "p99",
                                        "done s", "all s",  "made",   "refused", NULL};
    char text[128];
    page_table(p, heads, 1);
    for (unsigned i = 0; i < s->n; i++) {
        const struct sim_result *r = s->policies[i].result;
        const double values[] = {per_cent((double)r->granted, (double)r->asked),
                                 per_cent(r->gpc_granted, r->gpc_asked),
                                 per_cent(r->gpc_busy, r->gpc_all),
                                 s->policies[i].stranded,
                                 s->policies[i].useless,
                                 r->gpu_used,
                                 r->wait_mean,
                                 r->wait_p95,
                                 r->wait_p99,
                                 r->end_mean,
                                 r->makespan};
        page_markup(p, "<tr>");
        page_element(p, "td", "name", name_of(&s->policies[i], text, sizeof text));
        for (unsigned k = 0; k < ARRAY_LEN(values); k++) {
            bool known = s->policies[i].places || k < 3 || k > 5;
            (void)snprintf(text, sizeof text, k < 5 ? "%.2f" : "%.1f", values[k]);
            page_element(p, "td", "n", known ? text : "-");
        }
        page_markupf(p, "<td class=\"n\">%llu</td><td class=\"n\">%llu</td></tr>\n",
                     (unsigned long long)r->made, (unsigned long long)r->refused);
    }
    page_table_end(p);
    page_element(p, "p", "dim",
                 "jobs % and GPC %: granted, by count and by compute slices times run time. busy "
                 "%: compute slices asked for by what runs, of all there are. stranded: jobs "
                 "that could not start though a GPU had as many compute slices free. frag %: "
                 "compute slices that are free and of no use to a request of the mix, of all. "
                 "GPUs: with any job, on average. wait: from being submitted to being granted, of "
                 "granted jobs. done: "
                 "to the end. all: from the first job of the trace to the last end. made: "
                 "instances.");
}

/* Where judging begins and jobs stop coming, on a chart whose time begins with the first job. */
static void window(const struct simulate_page *s, struct chart *c)
{
    int64_t begin = s->policies[0].record->begin;
    if (s->setup->from > begin)
        chart_mark(c, (double)(s->setup->from - begin) / TIME_S, "judged from here");
    if (s->setup->until > begin)
        chart_mark(c, (double)(s->setup->until - begin) / TIME_S, "the last job comes");
}

/* One of the sums of the records over time, times `scale`. */
static void course(const struct simulate_page *s, struct chart *c, size_t sums, double scale,
                   struct line *lines, struct page *p)
{
    char name[128];
    for (unsigned i = 0; i < s->n; i++) {
        const struct record *r = s->policies[i].record;
        const double *values = (const double *)((const char *)r + sums);
        unsigned n = record_parts(r);
        bool known = sums != offsetof(struct record, used) || s->policies[i].places;
        for (unsigned k = 0; k < n; k++) {
            lines[i].x[k] = record_at(r, k);
            lines[i].y[k] = record_mean(r, values, k) * scale;
        }
        lines[i].x[n] = record_at(r, n);
        lines[i].y[n] = 0;
        chart_add(c, known ? n + 1 : 0, lines[i].x, lines[i].y, true, "%s",
                  name_of(&s->policies[i], name, sizeof name));
    }
    window(s, c);
    chart_draw(c, p);
}

static double slices_of(const struct simulate_page *s)
{
    double sum = 0;
    for (unsigned i = 0; i < s->setup->group_n; i++)
        sum += (double)s->setup->groups[i].gpus * MAX(s->setup->groups[i].board->compute_slices, 1);
    return sum;
}

static void courses(const struct simulate_page *s, struct line *lines, struct page *p)
{
    static const char about[] = "A line over time for each policy.";
    struct chart busy = {.title = "Utilisation",
                         .about = about,
                         .caption = "What runs, counted by the compute slices that it asked for.",
                         .x = {"from the first job", CHART_TIME},
                         .y = {"% of all compute slices", CHART_LINEAR}};
    struct chart used = {.title = "GPUs with any job on them",
                         .about = about,
                         .x = {"from the first job", CHART_TIME},
                         .y = {"GPUs", CHART_LINEAR}};
    struct chart queue = {.title = "Jobs that wait",
                          .about = about,
                          .x = {"from the first job", CHART_TIME},
                          .y = {"jobs", CHART_LINEAR}};
    course(s, &busy, offsetof(struct record, busy), 100 / slices_of(s), lines, p);
    course(s, &queue, offsetof(struct record, waiting), 1, lines, p);
    course(s, &used, offsetof(struct record, used), 1, lines, p);
}

/* How long jobs took, of those judged. */
static void spread(const struct simulate_page *s, struct chart *c, size_t curve, struct page *p)
{
    double parts[RECORD_CURVE], most = 0;
    char name[128];
    c->y = (struct chart_axis){"% of granted jobs", CHART_LINEAR, 0, 100};
    for (unsigned k = 0; k < RECORD_CURVE; k++)
        parts[k] = k;
    for (unsigned i = 0; i < s->n; i++) {
        const double *values = (const double *)((const char *)s->policies[i].record + curve);
        most = fmax(most, values[RECORD_CURVE - 1]);
        chart_add(c, s->policies[i].result->granted ? RECORD_CURVE : 0, values, parts, false, "%s",
                  name_of(&s->policies[i], name, sizeof name));
    }
    if (most > 0) {
        chart_draw(c, p);
        return;
    }
    page_element(p, "h3", NULL, c->title);
    page_element(p, "p", "dim", "No job that was granted waited.");
}

static void spreads(const struct simulate_page *s, struct page *p)
{
    static const char about[] = "A line for each policy: the part of jobs within a time.";
    struct chart waits = {.title = "Waits",
                          .about = about,
                          .caption = "Judged jobs that were granted, by how long they waited for "
                                     "it. What begins above 0 % did not wait.",
                          .x = {"waited at most (logarithmic)", CHART_LOG_TIME}};
    struct chart ends = {.title = "Completion",
                         .about = about,
                         .caption = "The same jobs, from being submitted to their end.",
                         .x = {"from submit to end at most (logarithmic)", CHART_LOG_TIME}};
    spread(s, &waits, offsetof(struct record, waits), p);
    spread(s, &ends, offsetof(struct record, ends), p);
}

static void class_row(const struct simulate_policy *policy, const struct detail_class *c,
                      const char *slice, struct page *p)
{
    const double values[] = {per_cent((double)c->granted, (double)c->asked),
                             per_cent(c->gpc_granted, c->gpc_asked),
                             c->wait_mean,
                             c->wait_p50,
                             c->wait_p95,
                             c->wait_p99,
                             c->end_mean,
                             c->end_p99};
    char text[128];
    page_markup(p, "<tr>");
    page_element(p, "td", "name", slice);
    page_element(p, "td", "name", name_of(policy, text, sizeof text));
    page_markupf(p, "<td class=\"n\">%llu</td>", (unsigned long long)c->asked);
    for (unsigned k = 0; k < ARRAY_LEN(values); k++) {
        (void)snprintf(text, sizeof text, k < 2 ? "%.2f" : "%.1f", values[k]);
        page_element(p, "td", "n", text);
    }
    page_markup(p, "</tr>\n");
}

static const struct detail_class *class_of(const struct detail *d, unsigned asked)
{
    for (unsigned i = 0; i < d->class_n; i++)
        if (d->classes[i].asked_for == asked)
            return &d->classes[i];
    return NULL;
}

/* The large wait longest, which an average over all jobs does not show: by slice asked for, and for
 * each of them by policy. */
static void classes(const struct simulate_page *s, struct page *p)
{
    static const char *const heads[] = {"slice", "policy", "asked", "jobs %", "GPC %", "wait s",
                                        "p50",   "p95",    "p99",   "done s", "p99",   NULL};
    const struct detail *first = s->policies[0].detail;
    char name[BOARD_PROFILE_NAME];
    page_element(p, "h3", NULL, "By slice asked for");
    page_table(p, heads, 2);
    for (unsigned k = 0; k < first->class_n; k++) {
        unsigned asked = first->classes[k].asked_for,
                 row = asked ? (asked - 1) % BOARD_PROFILES : 0;
        const struct board *b = s->setup->groups[asked ? (asked - 1) / BOARD_PROFILES : 0].board;
        const char *slice = asked ? board_profile_name(b, &b->profiles[row], name) : "whole GPU";
        for (unsigned i = 0; i < s->n; i++) {
            const struct detail_class *c = class_of(s->policies[i].detail, asked);
            if (c)
                class_row(&s->policies[i], c, slice, p);
        }
    }
    page_table_end(p);
}

/* GPUs over time: what the boxes have in common. */
struct timeline {
    const struct simulate_page *s;
    const struct record *r;
    struct page *page;
    double step, height; /* of a part in x, of a memory slice in y */
    unsigned boxes;
    unsigned shades; /* met, as bits */
    unsigned shade;  /* drawn by this call; 0: all, one by one; counts if `count` */
    bool count;
};

static const struct board *board_of(const struct simulate_page *s, uint32_t gpu)
{
    unsigned group = 0;
    for (uint32_t first = 0; gpu >= first + s->setup->groups[group].gpus; group++)
        first += s->setup->groups[group].gpus;
    return s->setup->groups[group].board;
}

static unsigned rows_of(const struct board *b)
{
    return MIN(MAX(b->memory_slices, 1u), (unsigned)RECORD_SLICES);
}

/* Slices and parts that are one box, from the corner where it begins. */
static void box(struct timeline *t, unsigned gpu, unsigned part, unsigned slice, double y)
{
    const struct record *r = t->r;
    const struct board *b = board_of(t->s, r->gpus[gpu]);
    struct record_spot at = r->spots[part][gpu][slice];
    bool whole = at.profile == BOARD_NO_PROFILE;
    unsigned wide = 1, high = 1;
    while (part + wide < record_parts(r) && r->spots[part + wide][gpu][slice].lease == at.lease)
        wide++;
    while (slice + high < rows_of(b) && r->spots[part][gpu][slice + high].lease == at.lease &&
           r->spots[part][gpu][slice + high].profile == at.profile)
        high++;
    unsigned shade = figure_shade(whole ? 0 : b->profiles[at.profile].compute, whole);
    double x = LEFT + part * t->step, top = y + slice * t->height;
    char name[BOARD_PROFILE_NAME], class[16], text[96];
    t->boxes++;
    t->shades |= 1u << shade;
    if (t->count || (t->shade && t->shade != shade))
        return;
    if (t->shade) {
        figure_path_box(t->page, x, top, wide * t->step, high * t->height);
        return;
    }
    (void)snprintf(class, sizeof class, "q%u thin", shade);
    (void)snprintf(text, sizeof text, "job %u, %s", at.lease,
                   whole ? "the whole GPU" : board_profile_name(b, &b->profiles[at.profile], name));
    figure_box(t->page, x, top, wide * t->step, high * t->height, class, text);
}

/* Whether a box has its corner there. A job on two like slices of a GPU that are neighbours is one
 * box. */
static bool corner(const struct timeline *t, unsigned gpu, unsigned part, unsigned slice)
{
    uint32_t lease = t->r->spots[part][gpu][slice].lease;
    bool begins = part == 0 || t->r->spots[part - 1][gpu][slice].lease != lease;
    bool top = slice == 0 || t->r->spots[part][gpu][slice - 1].lease != lease;
    return lease && begins && top;
}

static void boxes(struct timeline *t)
{
    double y = 0;
    t->boxes = 0;
    for (unsigned g = 0; g < t->r->gpu_n; g++) {
        unsigned rows = rows_of(board_of(t->s, t->r->gpus[g]));
        for (unsigned i = 0; i < record_parts(t->r) * rows; i++)
            if (corner(t, g, i / rows, i % rows))
                box(t, g, i / rows, i % rows, y);
        y += rows * t->height + GAP;
    }
}

static void shades_legend(const struct timeline *t, double y)
{
    double x = LEFT;
    char text[32];
    for (unsigned shade = 1; shade <= 8; shade++) {
        char class[16];
        if (!(t->shades >> shade & 1))
            continue;
        (void)snprintf(class, sizeof class, "q%u", shade);
        (void)snprintf(text, sizeof text, shade == 8 ? "whole GPU" : "%ug", shade);
        figure_box(t->page, x, y - 10, 14, 12, class, NULL);
        figure_word(t->page, x + 19, y, "start", NULL, text);
        x += 19 + figure_word_width(text) + 18;
    }
}

/* GPUs by name on the left, their slices as bands, and time below. */
static double frame(const struct timeline *t)
{
    struct axis_tick ticks[AXIS_TICKS];
    struct chart_axis time = {"", CHART_TIME, 0, record_at(t->r, record_parts(t->r))};
    double y = 0, width = FIGURE_WIDTH - LEFT - RIGHT;
    char text[24];
    for (unsigned g = 0; g < t->r->gpu_n; g++) {
        double height = rows_of(board_of(t->s, t->r->gpus[g])) * t->height;
        (void)snprintf(text, sizeof text, "GPU %u", t->r->gpus[g]);
        figure_word(t->page, LEFT - 8, y + height / 2 + 4, "end", NULL, text);
        figure_box(t->page, LEFT, y, width, height, "free", NULL);
        y += height + GAP;
    }
    unsigned n = axis_ticks(&time, 8, ticks);
    for (unsigned i = 0; i < n; i++) {
        double x = LEFT + axis_place(&time, ticks[i].at) * width;
        figure_line(t->page, x, y - GAP, x, y - GAP + 5, "axis");
        figure_word(t->page, x, y + 12, "middle", NULL, ticks[i].label);
    }
    return y;
}

static void timeline(const struct simulate_page *s, unsigned i, struct page *p)
{
    const struct record *r = s->policies[i].record;
    struct timeline t = {.s = s, .r = r, .page = p, .count = true};
    unsigned parts = record_parts(r), rows = 0;
    char name[128], title[160];
    if (parts == 0 || !s->policies[i].places)
        return;
    for (unsigned g = 0; g < r->gpu_n; g++)
        rows += rows_of(board_of(s, r->gpus[g]));
    t.height = rows <= 16 ? 12 : 6;
    t.step = (FIGURE_WIDTH - LEFT - RIGHT) * (double)r->width / (double)(r->end - r->begin);
    boxes(&t);
    t.count = false;
    (void)snprintf(title, sizeof title, "GPUs over time: %s",
                   name_of(&s->policies[i], name, sizeof name));
    page_element(p, "h3", NULL, title);
    figure_begin(p, rows * t.height + r->gpu_n * GAP + 44, title,
                 "A band for each memory slice of a GPU; a box is a slice that a job held.");
    double y = frame(&t);
    if (t.boxes <= NAMED) {
        boxes(&t);
    } else {
        unsigned met = t.shades;
        for (t.shade = 1; t.shade <= 8; t.shade++) {
            char class[16];
            if (!(met >> t.shade & 1))
                continue;
            (void)snprintf(class, sizeof class, "q%u thin", t.shade);
            figure_path_begin(p, class);
            boxes(&t);
            figure_path_end(p, NULL);
        }
    }
    shades_legend(&t, y + 34);
    (void)snprintf(title, sizeof title,
                   "Looked at every %.3g s: what came and went between two looks is not shown.",
                   (double)r->width / TIME_S);
    figure_end(p, title);
}

static void timelines(const struct simulate_page *s, struct page *p)
{
    const struct record *r = s->policies[0].record;
    char text[320];
    uint32_t all = 0;
    for (unsigned i = 0; i < s->setup->group_n; i++)
        all += s->setup->groups[i].gpus;
    page_markup(p, "<section class=\"part\">\n");
    page_element(p, "h2", NULL, "Slices over time");
    (void)snprintf(text, sizeof text,
                   "%u of %u GPUs, spread evenly; a band for each memory slice, the larger the "
                   "slice the darker.%s",
                   r->gpu_n, all, s->n > TIMELINES ? " Only the first 8 policies are drawn." : "");
    page_element(p, "p", NULL, text);
    for (unsigned i = 0; i < MIN(s->n, (unsigned)TIMELINES); i++)
        timeline(s, i, p);
    page_markup(p, "</section>\n");
}

void simulate_report(const struct simulate_page *s, struct str *out)
{
    struct page p;
    AUTO_FREE struct line *lines = calloc(s->n, sizeof *lines);
    if (!lines) {
        out->failed = true;
        return;
    }
    page_begin(&p, out, "The same jobs under several policies");
    page_markup(&p, "<p>Jobs: ");
    page_escape(out, s->trace);
    page_markup(&p, ". Fleet: ");
    page_escape(out, s->machine);
    page_markup(&p, ". ");
    page_escape(out, s->notes);
    page_markup(&p, " Simulated: nothing here was run on a GPU.</p>\n");
    page_element(&p, "p", NULL, "The same report again:");
    page_element(&p, "pre", NULL, s->command);
    table(s, &p);
    courses(s, lines, &p);
    spreads(s, &p);
    classes(s, &p);
    timelines(s, &p);
    page_end(&p);
}
