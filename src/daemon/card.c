/* The guarantee card: what a lease's slice has for itself, what it shares, and what is known of the
 * loss when the neighbours are busy. Figures of the slice come from the board's table; figures of
 * loss are published measurements and name their source. */
#include "daemon/show.h"

#include <stdio.h>
#include <string.h>

static void add_own(json_t *list, const char *what, const char *value, const char *by)
{
    (void)json_array_append_new(
        list, json_pack("{s:s, s:s, s:s}", "what", what, "value", value, "by", by));
}

static void add_count(json_t *list, const char *what, unsigned n)
{
    char value[32];
    (void)snprintf(value, sizeof value, "%u", n);
    if (n > 0)
        add_own(list, what, value, "hardware");
}

static void add_share(json_t *list, const char *what, unsigned part, unsigned of)
{
    char value[32];
    (void)snprintf(value, sizeof value, "%u/%u", part, of);
    if (of > 0)
        add_own(list, what, value, "hardware");
}

static json_t *own_slice(const struct board *b, const struct profile *p)
{
    json_t *list = json_array();
    char value[32];
    add_count(list, "streaming multiprocessors", p->sms);
    (void)snprintf(value, sizeof value, "%u MiB", p->mib);
    add_own(list, "memory", value, "hardware");
    add_share(list, "memory bandwidth", p->size, b->memory_slices);
    if (p->l2)
        add_share(list, "L2 cache", p->l2, p->l2_of);
    add_count(list, "copy engines", p->ce);
    add_count(list, "video decoders", p->dec);
    add_count(list, "video encoders", p->enc);
    add_count(list, "JPEG decoders", p->jpeg);
    add_count(list, "optical flow engines", p->ofa);
    return list;
}

static json_t *own_gpu(const struct board *b)
{
    json_t *list = json_array();
    char value[32];
    add_count(list, "streaming multiprocessors", b->sms);
    (void)snprintf(value, sizeof value, "%u MiB", b->total_mib);
    add_own(list, "memory", value, "hardware");
    add_own(list, "memory bandwidth", "all", "hardware");
    add_own(list, "L2 cache", "all", "hardware");
    return list;
}

struct row {
    const char *what, *note;
};

static json_t *rows(const struct row *row, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(
            list, json_pack("{s:s, s:s}", "what", row[i].what, "note", row[i].note));
    return list;
}

static const struct row shared_slice[] = {
    {"PCIe", "one link for all slices of the GPU; transfers queue behind the neighbours'"},
    {"power and clock", "one budget for the whole board"},
    {"last-level TLB", "shared between slices; a published covert channel"},
    {"host", "CPU, memory and disk are the machine's"},
};

static const struct row shared_gpu[] = {
    {"host", "CPU, memory, disk and PCIe switches are the machine's"},
    {"NVLink", "shared with the other GPUs of the machine"},
};

static json_t *loss(const struct board *b)
{
    static const struct {
        const char *board, *what, *value, *source;
    } known[] = {
        {"a100-80", "inference, all neighbours busy", "at most 2.4 % in 5 of 6 networks",
         "MLPerf Inference v1.1, closed, A100-SXM-80GB"},
        {"a100-80", "recommendation (DLRM), all neighbours busy", "7 %",
         "MLPerf Inference v2.0, closed, A100-SXM-80GB"},
        {"a30", "inference, all neighbours busy", "5 to 12 %",
         "MLPerf Inference v1.1 and v2.0, closed, A30"},
    };
    json_t *list = json_array();
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (strcmp(known[i].board, b->name) == 0)
            (void)json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "what", known[i].what,
                                                        "value", known[i].value, "source",
                                                        known[i].source));
    if (json_array_size(list) == 0)
        (void)json_array_append_new(
            list, json_pack("{s:s, s:s, s:s}", "what", "with busy neighbours", "value",
                            "not known for this board", "source", "no published measurement"));
    return list;
}

json_t *show_card(struct daemon *d, const struct lease *l)
{
    const struct gpu *g = l->slice_n ? world_gpu(d->world, l->slices[0].gpu) : NULL;
    const struct board *b = g ? world_board(d->world, g->board) : NULL;
    if (!b)
        return json_pack("{s:[], s:[], s:[]}", "yours", "shared", "loss");
    if (l->slices[0].profile >= b->profile_n)
        return json_pack("{s:o, s:o, s:[]}", "yours", own_gpu(b), "shared",
                         rows(shared_gpu, ARRAY_LEN(shared_gpu)), "loss");
    return json_pack("{s:o, s:o, s:o}", "yours", own_slice(b, &b->profiles[l->slices[0].profile]),
                     "shared", rows(shared_slice, ARRAY_LEN(shared_slice)), "loss", loss(b));
}
