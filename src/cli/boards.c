/* Reading and writing board files. One table of numbers serves both ways, so that what is written
 * is what is read. Instances are not recorded: an emulated machine begins without any. */
#include "cli/boards.h"

#include "base/fd.h"
#include "base/str.h"
#include "text/field.h"
#include "text/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLICES = 16, NUMBERS = 16, TEXT_MAX = 1 << 20 };

/* A number of a structure: its key, where and how wide it is, and what it may be. */
struct number {
    const char *name;
    size_t at, width;
    int64_t min, max;
};

#define NUMBER(type, name, field, min, max) \
    {name, offsetof(struct type, field), sizeof(((struct type *)0)->field), min, max}

static const struct number of_profile[] = {
    NUMBER(profile, "id", id, 0, 255),
    NUMBER(profile, "nvml", nvml, 0, 255),
    NUMBER(profile, "compute_slices", compute, 1, 8),
    NUMBER(profile, "memory_slices", size, 1, SLICES),
    NUMBER(profile, "most", max, 1, BOARD_GIS),
    NUMBER(profile, "memory_mib", mib, 0, UINT32_MAX),
    NUMBER(profile, "sms", sms, 0, UINT16_MAX),
    NUMBER(profile, "copy_engines", ce, 0, 255),
    NUMBER(profile, "decoders", dec, 0, 255),
    NUMBER(profile, "encoders", enc, 0, 255),
    NUMBER(profile, "jpeg", jpeg, 0, 255),
    NUMBER(profile, "ofa", ofa, 0, 255),
    NUMBER(profile, "l2", l2, 0, 255),
    NUMBER(profile, "l2_of", l2_of, 0, 255),
};

static const struct number of_board[] = {
    NUMBER(board, "pci_id", pci_id, 0, UINT32_MAX),
    NUMBER(board, "cc_major", cc_major, 0, 99),
    NUMBER(board, "cc_minor", cc_minor, 0, 9),
    NUMBER(board, "memory_slices", memory_slices, 0, SLICES),
    NUMBER(board, "compute_slices", compute_slices, 0, 8),
    NUMBER(board, "sms", sms, 0, UINT16_MAX),
    NUMBER(board, "memory_mib", total_mib, 0, UINT32_MAX),
};

static const char *const families[] = {
    [BOARD_AMPERE] = "ampere", [BOARD_HOPPER] = "hopper", [BOARD_BLACKWELL] = "blackwell",
    [BOARD_OTHER] = "other"};

/* Little-endian or not: the widths are those of the fields themselves. */
static int64_t get(const void *from, const struct number *n)
{
    const void *at = (const char *)from + n->at;
    return n->width == 1   ? *(const uint8_t *)at
           : n->width == 2 ? *(const uint16_t *)at
                           : *(const uint32_t *)at;
}

static void set(void *to, const struct number *n, int64_t value)
{
    void *at = (char *)to + n->at;
    if (n->width == 1)
        *(uint8_t *)at = (uint8_t)value;
    else if (n->width == 2)
        *(uint16_t *)at = (uint16_t)value;
    else
        *(uint32_t *)at = (uint32_t)value;
}

/* Reads `n` numbers, all required, and the `more` other fields of an object. */
static int read_object(const struct field_at *at, const json_t *object, void *to,
                       const struct number *numbers, size_t n, const struct field *more,
                       size_t more_n, struct error *err)
{
    int64_t values[NUMBERS] = {0};
    struct field fields[2 * NUMBERS];
    size_t count = 0;
    if (!json_is_object(object))
        return field_error(at, err, "an object was expected");
    for (size_t i = 0; i < n; i++)
        fields[count++] = (struct field){numbers[i].name, FIELD_INT, &values[i], .required = true,
                                         .min = numbers[i].min, .max = numbers[i].max};
    for (size_t i = 0; i < more_n; i++)
        fields[count++] = more[i];
    int r = field_read(at, object, fields, count, err);
    for (size_t i = 0; i < n && r == 0; i++)
        set(to, &numbers[i], values[i]);
    return r;
}

static int read_starts(const struct field_at *at, const json_t *starts, const struct board *b,
                       struct profile *p, struct error *err)
{
    size_t i;
    json_t *one;
    json_array_foreach(starts, i, one)
    {
        struct field_at here = field_index(at, starts, i);
        int64_t start = 0;
        const struct field f = {"", FIELD_INT, &start, .min = 0, .max = SLICES - 1};
        int r = field_value(&here, one, &f, err);
        if (r < 0)
            return r;
        if (start + p->size > b->memory_slices)
            return field_error(&here, err,
                               "%d memory slices from %d on are more than the board's %d", p->size,
                                (int)start, b->memory_slices);
        p->starts |= (slices)(1u << start);
    }
    return p->starts ? 0
                     : field_error(at, err, "at least one memory slice to start at was expected");
}

static int read_profile(const struct field_at *at, const json_t *object, struct board *b,
                        struct error *err)
{
    struct profile *p = &b->profiles[b->profile_n];
    const char *name = NULL, *suffix = "";
    json_t *starts = NULL;
    char derived[BOARD_PROFILE_NAME];
    const struct field more[] = {
        {"name", FIELD_STRING, &name},
        {"suffix", FIELD_STRING, &suffix, .max = sizeof p->suffix - 1},
        {"starts", FIELD_ARRAY, &starts, .required = true, .max = SLICES},
    };
    int r = read_object(at, object, p, of_profile, ARRAY_LEN(of_profile), more, ARRAY_LEN(more),
                        err);
    if (r < 0)
        return r;
    (void)str_copy(p->suffix, sizeof p->suffix, suffix);
    if (board_profile_by_id(b, p->id) != BOARD_NO_PROFILE)
        return field_error(at, err, "another profile has id %d already", p->id);
    struct field_at here = field_key(at, object, "starts");
    r = read_starts(&here, starts, b, p, err);
    if (r < 0)
        return r;
    b->profile_n++;
    here = field_key(at, object, "name");
    board_profile_name(b, p, derived);
    if (name && strcmp(name, derived) != 0)
        return field_error(&here, err, "%s was expected: names follow from slices and memory",
                           derived);
    return 0;
}

static int read_family(const struct field_at *at, const char *name, struct board *b,
                       struct error *err)
{
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        b->family = (enum board_family)i;
        if (strcmp(families[i], name) == 0)
            return 0;
    }
    return field_error(at, err, "ampere, hopper, blackwell or other was expected");
}

static int read_board(const struct field_at *at, const json_t *object, struct machine *m,
                      struct error *err)
{
    struct board *b = &m->boards[m->board_n];
    const char *name = NULL, *product = NULL, *family = NULL;
    json_t *profiles = NULL, *one;
    size_t i;
    const struct field more[] = {
        {"name", FIELD_STRING, &name, .required = true, .max = BOARD_NAME - 1},
        {"product", FIELD_STRING, &product, .required = true, .max = BOARD_PRODUCT - 1},
        {"family", FIELD_STRING, &family, .required = true},
        {"complete", FIELD_BOOL, &b->complete, .required = true},
        {"profiles", FIELD_ARRAY, &profiles, .max = BOARD_PROFILES},
    };
    int r = read_object(at, object, b, of_board, ARRAY_LEN(of_board), more, ARRAY_LEN(more), err);
    if (r < 0)
        return r;
    (void)str_copy(b->name, sizeof b->name, name);
    (void)str_copy(b->product, sizeof b->product, product);
    struct field_at here = field_key(at, object, "family");
    struct field_at list = field_key(at, object, "profiles");
    r = read_family(&here, family, b, err);
    json_array_foreach(profiles, i, one)
    {
        here = field_index(&list, profiles, i);
        r = r < 0 ? r : read_profile(&here, one, b, err);
    }
    if (r == 0 && (b->profile_n > 0) != (b->memory_slices > 0))
        r = field_error(at, err, "a board has profiles where it has memory slices, and only there");
    m->board_n++;
    return r;
}

static int find_board(const struct machine *m, const char *name)
{
    for (unsigned i = 0; i < m->board_n; i++) {
        if (strcmp(m->boards[i].name, name) == 0)
            return (int)i;
    }
    return -1;
}

static int read_gpu(const struct field_at *at, const json_t *object, struct machine *m,
                    struct error *err)
{
    struct machine_gpu *g = &m->gpus[m->gpu_n];
    const char *board = NULL, *uuid = NULL, *pci = NULL;
    const struct number minor[] = {NUMBER(machine_gpu, "minor", minor, 0, 31)};
    const struct field more[] = {
        {"board", FIELD_STRING, &board, .required = true},
        {"uuid", FIELD_STRING, &uuid, .required = true, .max = MACHINE_UUID - 1},
        {"pci", FIELD_STRING, &pci, .required = true, .max = MACHINE_PCI - 1},
    };
    int r = read_object(at, object, g, minor, 1, more, ARRAY_LEN(more), err);
    if (r < 0)
        return r;
    int index = find_board(m, board);
    struct field_at here = field_key(at, object, "board");
    if (index < 0)
        return field_error(&here, err, "no board of this file is called %.24s", board);
    here = field_key(at, object, "uuid");
    if (strncmp(uuid, "GPU-", 4) != 0 || machine_find_gpu(m, uuid))
        return field_error(&here, err, "a UUID of its own that begins with GPU- was expected");
    g->index = m->gpu_n++;
    g->board = (uint8_t)index;
    g->mig = g->mig_pending = m->boards[index].memory_slices ? MACHINE_MIG_ON : MACHINE_MIG_NONE;
    (void)str_copy(g->uuid, sizeof g->uuid, uuid);
    (void)str_copy(g->pci, sizeof g->pci, pci);
    return 0;
}

static int read_machine(const struct field_at *at, const json_t *root, struct machine *m,
                        struct error *err)
{
    const char *driver = NULL;
    json_t *boards = NULL, *gpus = NULL, *one;
    size_t i;
    const struct field fields[] = {
        {"driver", FIELD_STRING, &driver, .required = true, .max = sizeof m->driver - 1},
        {"passthrough", FIELD_BOOL, &m->passthrough},
        {"unified_memory", FIELD_BOOL, &m->unified_memory},
        {"boards", FIELD_ARRAY, &boards, .required = true, .max = MACHINE_BOARDS},
        {"gpus", FIELD_ARRAY, &gpus, .required = true, .max = 32},
    };
    if (!json_is_object(root))
        return field_error(at, err, "driver, boards and gpus were expected");
    int r = field_read(at, root, fields, ARRAY_LEN(fields), err);
    if (r < 0)
        return r;
    (void)str_copy(m->driver, sizeof m->driver, driver);
    struct field_at list = field_key(at, root, "boards");
    json_array_foreach(boards, i, one)
    {
        struct field_at here = field_index(&list, boards, i);
        r = r < 0 ? r : read_board(&here, one, m, err);
    }
    list = field_key(at, root, "gpus");
    json_array_foreach(gpus, i, one)
    {
        struct field_at here = field_index(&list, gpus, i);
        r = r < 0 ? r : read_gpu(&here, one, m, err);
    }
    return r == 0 && m->gpu_n == 0 ? field_error(&list, err, "at least one GPU was expected") : r;
}

int boards_read(const char *text, size_t size, const char *what, struct machine *ret,
                struct error *err)
{
    AUTO_YAML struct yaml y = {0};
    memset(ret, 0, sizeof *ret);
    int r = yaml_parse(text, size, what, &y, err);
    struct field_at root = {.marks = &y.marks, .what = what};
    return r < 0 ? r : read_machine(&root, y.root, ret, err);
}

bool boards_is_file(const char *machine)
{
    const char *dot = strrchr(machine, '.');
    return strchr(machine, '/') ||
           (dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0));
}

int boards_load(const char *path, struct machine *ret, struct error *err)
{
    AUTO_FREE char *text = NULL;
    size_t size = 0;
    int r = fd_read_file(path, TEXT_MAX, &text, &size, err);
    return r < 0 ? r : boards_read(text, size, path, ret, err);
}

int boards_pass(const char *path, const struct machine *m, struct error *err)
{
    AUTO_FREE struct machine_image *image = calloc(1, sizeof *image);
    AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (!image)
        return error_set(err, ERROR_NO_MEMORY, "no memory left for a machine");
    if (fd < 0)
        return error_errno(err, ERROR_IO, errno, "cannot write %s", path);
    image->machine = *m;
    machine_image_seal(image);
    return fd_write_all(fd, image, sizeof *image, err);
}

static bool add_numbers(json_t *object, const void *from, const struct number *numbers, size_t n)
{
    bool good = true;
    for (size_t i = 0; i < n; i++)
        good &= json_object_set_new(object, numbers[i].name,
                                    json_integer(get(from, &numbers[i]))) == 0;
    return good;
}

static json_t *profile_document(const struct board *b, const struct profile *p)
{
    char name[BOARD_PROFILE_NAME];
    json_t *starts = json_array();
    bool good = true;
    for (unsigned s = 0; s < SLICES; s++) {
        if (p->starts & 1u << s)
            good &= json_array_append_new(starts, json_integer(s)) == 0;
    }
    json_t *object = json_pack("{s:s, s:s, s:o}", "name", board_profile_name(b, p, name), "suffix",
                               p->suffix, "starts", starts);
    if (object && good && add_numbers(object, p, of_profile, ARRAY_LEN(of_profile)))
        return object;
    json_decref(object);
    return NULL;
}

static json_t *board_document(const struct board *b)
{
    json_t *profiles = json_array();
    bool good = true;
    for (unsigned i = 0; i < b->profile_n; i++)
        good &= json_array_append_new(profiles, profile_document(b, &b->profiles[i])) == 0;
    json_t *object = json_pack("{s:s, s:s, s:s, s:b, s:o}", "name", b->name, "product", b->product,
                               "family", families[b->family], "complete", b->complete, "profiles",
                               profiles);
    if (object && good && add_numbers(object, b, of_board, ARRAY_LEN(of_board)))
        return object;
    json_decref(object);
    return NULL;
}

json_t *boards_document(const struct machine *m)
{
    json_t *boards = json_array(), *gpus = json_array();
    bool good = true;
    for (unsigned i = 0; i < m->board_n; i++)
        good &= json_array_append_new(boards, board_document(&m->boards[i])) == 0;
    for (unsigned i = 0; i < m->gpu_n; i++) {
        const struct machine_gpu *g = &m->gpus[i];
        good &= json_array_append_new(gpus, json_pack("{s:s, s:s, s:s, s:i}", "board",
                                                      machine_board(m, g)->name, "uuid", g->uuid,
                                                      "pci", g->pci, "minor", (int)g->minor)) == 0;
    }
    json_t *all = json_pack("{s:s, s:b, s:b, s:o, s:o}", "driver", m->driver, "passthrough",
                            m->passthrough, "unified_memory", m->unified_memory, "boards", boards,
                            "gpus", gpus);
    if (good)
        return all;
    json_decref(all);
    return NULL;
}
