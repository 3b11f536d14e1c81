/* The built-in boards and what follows from a board's figures alone: names, ids, compute instances.
 *
 * Names are derived, never stored: a driver that reports another amount of memory calls the same
 * profile by another name, and then so must we. */
#include "model/board.h"

#include <stdio.h>
#include <string.h>

enum { COMPLETE = 1, INCOMPLETE = 0 };

/* A set of up to seven memory slices, written as nvidia-smi prints it: AT(0,2,4). */
#define AT(...) AT_PADDED(__VA_ARGS__, 15, 15, 15, 15, 15, 15, 15)
#define AT_PADDED(a, b, c, d, e, f, g, ...)                                                        \
    ((1 << (a) | 1 << (b) | 1 << (c) | 1 << (d) | 1 << (e) | 1 << (f) | 1 << (g)) & 0x7fff)

static const struct board boards[] = {
#define TABLE_READ "model/tables/read.h"
#include "model/tables/all.h"
#undef TABLE_READ
};

const struct board *board_all(unsigned *ret_n)
{
    *ret_n = ARRAY_LEN(boards);
    return boards;
}

const struct board *board_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(boards); i++) {
        if (strcmp(boards[i].name, name) == 0)
            return &boards[i];
    }
    return NULL;
}

const struct board *board_by_pci_id(uint32_t pci_id)
{
    for (size_t i = 0; i < ARRAY_LEN(boards); i++) {
        if (boards[i].pci_id == pci_id)
            return &boards[i];
    }
    return NULL;
}

static uint64_t ceil_div(uint64_t a, uint64_t b)
{
    return (a + b - 1) / b;
}

/* NVIDIA's rule: the share of the GPU's memory, rounded up to eighths, times the GPU's size in GiB,
 * rounded up, the product rounded to the nearest. Where the memory is not known its share is taken
 * from the memory slices, which gives the same names on every board where both are known. */
static unsigned name_gb(const struct board *b, const struct profile *p)
{
    uint64_t part = p->size, of = b->memory_slices;
    if (p->mib && b->total_mib) {
        part = ceil_div(UINT64_C(8) * p->mib, b->total_mib);
        of = 8;
    }
    if (!of)
        return 0;
    return (unsigned)((2 * part * ceil_div(b->total_mib, 1024) + of) / (2 * of));
}

const char *board_profile_name(const struct board *b, const struct profile *p,
                               char buf[BOARD_PROFILE_NAME])
{
    (void)snprintf(buf, BOARD_PROFILE_NAME, "%ug.%ugb%s", p->compute, name_gb(b, p), p->suffix);
    return buf;
}

unsigned board_profile_by_name(const struct board *b, const char *name)
{
    if (strncmp(name, "MIG ", 4) == 0)
        name += 4;
    for (unsigned i = 0; i < b->profile_n; i++) {
        char buf[BOARD_PROFILE_NAME];
        if (strcmp(board_profile_name(b, &b->profiles[i], buf), name) == 0)
            return i;
    }
    return BOARD_NO_PROFILE;
}

unsigned board_profile_by_id(const struct board *b, unsigned id)
{
    for (unsigned i = 0; i < b->profile_n; i++) {
        if (b->profiles[i].id == id)
            return i;
    }
    return BOARD_NO_PROFILE;
}

unsigned board_profile_by_nvml(const struct board *b, unsigned nvml)
{
    for (unsigned i = 0; i < b->profile_n; i++) {
        if (b->profiles[i].nvml == nvml)
            return i;
    }
    return BOARD_NO_PROFILE;
}

unsigned board_profile_ppt(const struct board *b, const struct profile *p)
{
    return b->compute_slices ? (unsigned)ceil_div(1000u * p->compute, b->compute_slices) : 0;
}

/* Whether `p` has less than `q`: compute slices count before memory. */
static bool is_less(const struct profile *p, const struct profile *q)
{
    return p->compute < q->compute || (p->compute == q->compute && p->size < q->size);
}

unsigned board_profile_by_need(const struct board *b, uint64_t bytes, unsigned compute_ppt)
{
    unsigned best = BOARD_NO_PROFILE;
    for (unsigned i = 0; i < b->profile_n; i++) {
        const struct profile *p = &b->profiles[i];
        if (p->suffix[0] || (uint64_t)p->mib << 20 < bytes || board_profile_ppt(b, p) < compute_ppt)
            continue;
        if (best == BOARD_NO_PROFILE || is_less(p, &b->profiles[best]))
            best = i;
    }
    return best;
}

unsigned board_profile_smaller(const struct board *b, unsigned held, uint64_t bytes)
{
    const struct profile whole = {.compute = b->compute_slices, .size = b->memory_slices};
    const struct profile *is = held < b->profile_n ? &b->profiles[held] : &whole;
    unsigned best = BOARD_NO_PROFILE;
    for (unsigned i = 0; i < b->profile_n; i++) {
        const struct profile *p = &b->profiles[i];
        bool fits = !p->suffix[0] && (uint64_t)p->mib << 20 >= bytes && p->size <= is->size;
        if (fits && is_less(p, best == BOARD_NO_PROFILE ? is : &b->profiles[best]))
            best = i;
    }
    return best;
}

bool board_profile_wide(const struct board *b, const struct profile *p)
{
    if (p->compute != 1)
        return false;
    for (unsigned i = 0; i < b->profile_n; i++) {
        const struct profile *q = &b->profiles[i];
        if (q->compute == 1 && q->size < p->size && q->sms < p->sms)
            return true;
    }
    return false;
}

/* NVML's compute-instance enum for `c` compute slices. */
static uint8_t ci_nvml(unsigned c)
{
    static const uint8_t by_slices[] = {
        [1] = 0, [2] = 1, [3] = 2, [4] = 3, [6] = 6, [7] = 4, [8] = 5};
    return by_slices[c];
}

/* Compute instances sit in an aligned tree: 1 on any slice, 2 on even ones, 3 and 4 on every
 * fourth. */
static unsigned ci_span(unsigned c)
{
    return c <= 2 ? c : c <= 4 ? 4 : 8;
}

/* Memory slices that belong to one compute slice: 1, or 3 where 12 memory slices serve 4. */
static unsigned slices_per_compute(const struct board *b)
{
    unsigned compute = 1;
    while (compute < b->compute_slices)
        compute *= 2;
    return MAX(b->memory_slices / compute, 1u);
}

static struct ci_profile ci_part(const struct profile *p, unsigned c)
{
    struct ci_profile ci = {.nvml = ci_nvml(c), .compute = (uint8_t)c, .size = (uint8_t)ci_span(c)};
    for (unsigned start = 0; start + c <= p->compute; start += ci_span(c)) {
        ci.starts |= (slices)(1u << start);
        ci.max++;
    }
    /* SMs come in pairs. */
    ci.sms = (uint16_t)(p->sms * c / p->compute / 2 * 2);
    return ci;
}

unsigned board_ci_profiles(const struct board *b, const struct profile *p,
                           struct ci_profile ret[BOARD_CI_PROFILES])
{
    unsigned n = 0;
    for (unsigned c = 1; c < p->compute; c++) {
        /* Parts larger than half of the GI do not exist, save the larger "half" of an odd one. */
        if (2 * c <= p->compute + 1u && c <= 4)
            ret[n++] = ci_part(p, c);
    }
    struct ci_profile full = {
        .nvml = board_profile_wide(b, p) ? BOARD_CI_NVML_1_REV1 : ci_nvml(MIN(p->compute, 8)),
        .compute = p->compute,
        .size = (uint8_t)(p->size / slices_per_compute(b)),
        .starts = 1,
        .max = 1,
        .sms = p->sms,
    };
    ret[n++] = full;
    return n;
}

unsigned board_gi_id(const struct board *b, unsigned start, unsigned size)
{
    /* A binary tree over the GPU: whole 0, halves 1-2, quarters 3-6, eighths 7-14. */
    unsigned parts = 8;
    while (parts > 1 && parts * size > b->memory_slices)
        parts /= 2;
    return b->memory_slices ? parts - 1 + start * parts / b->memory_slices : 0;
}
