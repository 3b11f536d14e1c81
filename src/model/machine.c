/* Machines from a line of text: the emulator's start, and what tests and plans are written in. */
#include "model/machine.h"

#include "base/rng.h"
#include "base/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct machine_kind kinds[] = {
    {"dgx-a100", "8xa100-80", "NVIDIA DGX A100, 640 GB", false, false},
    {"dgx-a100-320", "8xa100-40", "NVIDIA DGX A100, 320 GB", false, false},
    {"p4d.24xlarge", "8xa100-40", "AWS p4d.24xlarge, GPUs passed through to a VM", true, false},
    {"dgx-h100", "8xh100-sxm", "NVIDIA DGX H100, 640 GB", false, false},
    {"hgx-h200", "8xh200", "NVIDIA HGX H200, 1128 GB", false, false},
    {"dgx-spark", "1xgb10", "NVIDIA DGX Spark, 128 GB shared with the CPU, no MIG", false, true},
};

enum { ITEM = 48, KNOWN = 64 };

const struct machine_kind *machine_kinds(unsigned *ret_n)
{
    *ret_n = ARRAY_LEN(kinds);
    return kinds;
}

static const struct machine_kind *find_kind(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    }
    return NULL;
}

/* Which of `names` to show next to somebody who wrote `word`: one that continues it ("a100" is
 * meant to be a100-40 or a100-80), else the nearest, else the first. */
static size_t next_known(const char *word, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (*word && strncmp(names[i], word, strlen(word)) == 0)
            return i;
    }
    const char *nearest = str_nearest(word, names, n);
    size_t at = 0;
    while (nearest && names[at] != nearest)
        at++;
    return at;
}

static int unknown_name(const char *name, struct error *err)
{
    unsigned board_n;
    const struct board *boards = board_all(&board_n);
    const char *names[KNOWN];
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        names[n++] = kinds[i].name;
    for (unsigned i = 0; i < board_n && n < KNOWN; i++)
        names[n++] = boards[i].name;

    char list[ERROR_TEXT] = "";
    size_t used = 0;
    while (n > 0 && used < sizeof list) {
        size_t at = next_known(name, names, n);
        int added = snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", names[at]);
        used += (size_t)added;
        n--;
        memmove(&names[at], &names[at + 1], (n - at) * sizeof names[0]);
    }
    return error_set(err, ERROR_INVALID, "no machine or board is called \"%s\", known are %s", name,
                     list);
}

/* A UUID that depends on position and board only, shaped like a version 5 one. */
static void make_uuid(unsigned index, const char *board, char ret[MACHINE_UUID])
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (const char *c = board; *c; c++)
        hash = (hash ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
    struct rng rng = {.state = hash ^ (uint64_t)index << 48};
    uint64_t a = rng_next(&rng), b = rng_next(&rng);
    (void)snprintf(ret, MACHINE_UUID,
                   "GPU-%08" PRIx64 "-%04" PRIx64 "-5%03" PRIx64 "-%04" PRIx64 "-%012" PRIx64,
                   a >> 32, a >> 16 & 0xffff, a & 0xfff, (b >> 48 & 0x3fff) | 0x8000,
                   b & UINT64_C(0xffffffffffff));
}

static int board_index(struct machine *m, const struct board *b, struct error *err)
{
    for (unsigned i = 0; i < m->board_n; i++) {
        if (strcmp(m->boards[i].name, b->name) == 0)
            return (int)i;
    }
    if (m->board_n == MACHINE_BOARDS)
        return error_set(err, ERROR_INVALID,
                         "more than %d kinds of boards in one machine: leave out %s or another",
                         MACHINE_BOARDS, b->name);
    m->boards[m->board_n] = *b;
    return (int)m->board_n++;
}

static int add_gpus(struct machine *m, const struct board *b, unsigned count, struct error *err)
{
    if (count > MACHINE_GPUS - m->gpu_n)
        return error_set(err, ERROR_INVALID, "%u GPUs and %u of board %s: a machine has at most %d",
                         m->gpu_n, count, b->name, MACHINE_GPUS);
    int board = board_index(m, b, err);
    if (board < 0)
        return board;
    for (unsigned i = 0; i < count; i++) {
        unsigned index = m->gpu_n++;
        struct machine_gpu *g = &m->gpus[index];
        enum machine_mig mig = b->memory_slices ? MACHINE_MIG_ON : MACHINE_MIG_NONE;
        *g = (struct machine_gpu){.index = index,
                                  .minor = index,
                                  .board = (uint8_t)board,
                                  .mig = mig,
                                  .mig_pending = mig,
                                  .health = MACHINE_OK};
        make_uuid(index, b->name, g->uuid);
        (void)snprintf(g->pci, sizeof g->pci, "00000000:%02X:00.0", 7 + 3 * index);
    }
    return 0;
}

/* One part of a composition, "4xa30" or "a30": count 0 means that none was written. */
struct item {
    unsigned count;
    char name[ITEM];
};

/* Reads the item at `spec` up to a comma or the end and returns its length, or a negative code. */
static int read_item(const char *spec, struct item *ret, struct error *err)
{
    size_t len = strcspn(spec, ",");
    size_t digits = strspn(spec, "0123456789");
    *ret = (struct item){0};
    const char *name = spec;
    if (digits > 0 && spec[digits] == 'x') {
        for (size_t i = 0; i < digits && ret->count <= MACHINE_GPUS; i++)
            ret->count = ret->count * 10 + (unsigned)(spec[i] - '0');
        if (ret->count < 1 || ret->count > MACHINE_GPUS)
            return error_set(err, ERROR_INVALID, "\"%.*s\": the number before x must be 1 to %d",
                             (int)MIN(len, (size_t)ITEM), spec, MACHINE_GPUS);
        name += digits + 1;
    }
    size_t name_len = len - (size_t)(name - spec);
    if (name_len == 0)
        return error_set(
            err, ERROR_INVALID,
            "a machine is written as its name or as [COUNTx]BOARD{,[COUNTx]BOARD}, such "
            "as dgx-a100 or 2xh100-sxm,1xa30; here a name is missing");
    if (name_len >= sizeof ret->name)
        return error_set(err, ERROR_INVALID,
                         "\"%.*s...\" is too long for the name of a machine or board", ITEM, name);
    memcpy(ret->name, name, name_len);
    return (int)len;
}

static int add_item(struct machine *m, const struct item *item, struct error *err)
{
    const struct board *b = board_find(item->name);
    if (b)
        return add_gpus(m, b, MAX(item->count, 1u), err);
    const struct machine_kind *kind = find_kind(item->name);
    if (!kind)
        return unknown_name(item->name, err);
    if (item->count > 1)
        return error_set(
            err, ERROR_INVALID,
            "%ux%s: several machines make sense only in planning, name one machine here",
            item->count, item->name);
    m->passthrough = m->passthrough || kind->passthrough;
    m->unified_memory = m->unified_memory || kind->unified_memory;
    /* The composition of a kind is a single item of a board. */
    struct item inside;
    int len = read_item(kind->composition, &inside, err);
    return len < 0 ? len : add_gpus(m, board_find(inside.name), inside.count, err);
}

int machine_parse(const char *spec, struct machine *ret, struct error *err)
{
    memset(ret, 0, sizeof *ret);
    bool newer = false;
    for (const char *at = spec;; at++) {
        struct item item;
        int len = read_item(at, &item, err);
        if (len < 0)
            return len;
        int rc = add_item(ret, &item, err);
        if (rc < 0)
            return rc;
        at += len;
        if (!*at)
            break;
    }
    for (unsigned i = 0; i < ret->board_n; i++)
        newer = newer || ret->boards[i].family == BOARD_BLACKWELL;
    (void)str_copy(ret->name, sizeof ret->name, spec);
    (void)str_copy(ret->driver, sizeof ret->driver, newer ? "580.82.07" : "550.54.15");
    return 0;
}

void machine_image_seal(struct machine_image *image)
{
    (void)str_copy(image->build, sizeof image->build, FETTA_VERSION);
    image->size = sizeof *image;
}

int machine_image_check(const struct machine_image *image, struct error *err)
{
    const struct machine *m = &image->machine;
    if (strncmp(image->build, FETTA_VERSION, sizeof image->build) != 0 ||
        image->size != sizeof *image)
        return error_set(err, ERROR_VERSION,
                         "a machine description of another version of fetta; install all of one");
    bool good = m->gpu_n <= MACHINE_GPUS && m->board_n <= MACHINE_BOARDS;
    for (unsigned i = 0; good && i < m->gpu_n; i++)
        good = m->gpus[i].board < m->board_n && m->gpus[i].gi_n <= BOARD_GIS;
    for (unsigned i = 0; good && i < m->board_n; i++)
        good = m->boards[i].profile_n <= BOARD_PROFILES;
    return good ? 0 : error_set(err, ERROR_INVALID, "a machine description with impossible counts");
}

struct machine_gpu *machine_find_gpu(struct machine *m, const char *uuid)
{
    for (unsigned i = 0; i < m->gpu_n; i++) {
        if (strcmp(m->gpus[i].uuid, uuid) == 0)
            return &m->gpus[i];
    }
    return NULL;
}

struct machine_gi *machine_find_gi(struct machine_gpu *g, unsigned id)
{
    for (unsigned i = 0; i < g->gi_n; i++) {
        if (g->gis[i].id == id)
            return &g->gis[i];
    }
    return NULL;
}
