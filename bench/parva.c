/* Reading ParvaGPU's data; see parva.h. */
#include "bench/parva.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH = 400 };

const char *const parva_models[PARVA_MODELS] = {
    "bert",      "densenet121", "densenet169", "densenet201", "inceptionv3", "mobilenetv2",
    "resnet101", "resnet152",   "resnet50",    "vgg16",       "vgg19"};

unsigned parva_mask(const struct board *b)
{
    unsigned mask = table_plain(b);
    for (unsigned i = 0; i < b->profile_n; i++)
        if (b->profiles[i].compute == 1 && b->profiles[i].size == 2)
            mask &= ~(1u << i);
    return mask;
}

static bool read_rows(const char *dir, const char *file, double ret[PARVA_SCENARIOS][PARVA_MODELS])
{
    char path[PATH], line[512];
    (void)snprintf(path, sizeof path, "%s/parvagpu-profiles/SLO/%s", dir, file);
    FILE *f = fopen(path, "r");
    for (unsigned s = 0; f && s < PARVA_SCENARIOS && fgets(line, sizeof line, f); s++) {
        char *rest = line;
        for (unsigned m = 0; m < PARVA_MODELS; m++) {
            const char *cell = strsep(&rest, ",\n");
            ret[s][m] = cell ? strtod(cell, NULL) : 0;
        }
    }
    if (f)
        (void)fclose(f);
    return f != NULL;
}

bool parva_scenarios(const char *dir, struct parva_scenario ret[PARVA_SCENARIOS])
{
    double targets[PARVA_SCENARIOS][PARVA_MODELS] = {{0}};
    double rates[PARVA_SCENARIOS][PARVA_MODELS] = {{0}};
    if (!read_rows(dir, "SLO_latency.csv", targets) || !read_rows(dir, "SLO_req_rate.csv", rates))
        return false;
    for (unsigned s = 0; s < PARVA_SCENARIOS; s++) {
        memcpy(ret[s].target_ms, targets[s], sizeof ret[s].target_ms);
        memcpy(ret[s].rate, rates[s], sizeof ret[s].rate);
    }
    return true;
}

bool parva_profile(const char *dir, const char *model, double target_ms, const struct board *b,
                   unsigned mask, double ret[BOARD_PROFILES])
{
    char path[PATH], line[256];
    unsigned compute, batch, processes;
    double rate, latency;
    (void)snprintf(path, sizeof path, "%s/parvagpu-profiles/prof_data/%s.csv", dir, model);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "%u,%u,%u,%lf,%lf", &compute, &batch, &processes, &rate, &latency) != 5 ||
            rate <= 0 || latency * 1000 >= 0.45 * target_ms)
            continue;
        for (unsigned p = 0; p < b->profile_n; p++)
            if (mask >> p & 1 && b->profiles[p].compute == compute && ret[p] < rate * processes)
                ret[p] = rate * processes;
    }
    if (f)
        (void)fclose(f);
    return f != NULL;
}
