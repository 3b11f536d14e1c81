/* Machines from text: what is understood, what is refused and how it is said. */
#include "model/machine.h"

#include "tests/tap.h"

static struct machine m;
static struct error err;

TEST(every_known_machine_is_what_it_says)
{
    unsigned n;
    const struct machine_kind *kinds = machine_kinds(&n);
    CHECK_INT(n, ==, 6);
    for (unsigned i = 0; i < n; i++) {
        static struct machine same;
        CHECK_INT(machine_parse(kinds[i].name, &m, &err), ==, 0);
        CHECK_INT(machine_parse(kinds[i].composition, &same, &err), ==, 0);
        CHECK_STR(m.name, kinds[i].name);
        CHECK_INT(m.passthrough, ==, kinds[i].passthrough);
        CHECK_INT(m.unified_memory, ==, kinds[i].unified_memory);
        CHECK_INT(m.gpu_n, ==, same.gpu_n);
        CHECK_INT(m.board_n, ==, 1);
        CHECK_STR(m.boards[0].name, same.boards[0].name);
        CHECK(memcmp(m.gpus, same.gpus, sizeof m.gpus) == 0);
        CHECK(m.boards[0].complete);
    }
}

TEST(compositions)
{
    CHECK_INT(machine_parse("2xh100-sxm,1xa30,a30,3xh100-sxm", &m, &err), ==, 0);
    CHECK_INT(m.gpu_n, ==, 7);
    CHECK_INT(m.board_n, ==, 2);
    CHECK_STR(machine_board(&m, &m.gpus[1])->name, "h100-sxm");
    CHECK_STR(machine_board(&m, &m.gpus[3])->name, "a30");
    CHECK_STR(machine_board(&m, &m.gpus[6])->name, "h100-sxm");
    CHECK_INT(machine_parse("1xdgx-a100,2xgb10", &m, &err), ==, 0);
    CHECK_INT(m.gpu_n, ==, 10);
    CHECK_INT(m.gpus[7].mig, ==, MACHINE_MIG_ON);
    CHECK_INT(m.gpus[8].mig, ==, MACHINE_MIG_NONE);
    CHECK_INT(machine_parse("a100-40,a100-80,a30,h20,h200,b200,b300,gb300", &m, &err), ==, 0);
    CHECK_INT(m.board_n, ==, MACHINE_BOARDS);
}

static bool hex_groups(const char *uuid)
{
    static const char shape[] = "GPU-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    if (strlen(uuid) != strlen(shape))
        return false;
    for (size_t i = 0; shape[i]; i++) {
        bool hex = strchr("0123456789abcdef", uuid[i]) != NULL;
        if (shape[i] == 'x' ? !hex : uuid[i] != shape[i])
            return false;
    }
    return true;
}

TEST(uuids_and_addresses_are_well_formed_distinct_and_stable)
{
    static struct machine again;
    CHECK_INT(machine_parse("32xa30,32xa100-80", &m, &err), ==, 0);
    CHECK_INT(machine_parse("32xa30,32xa100-80", &again, &err), ==, 0);
    CHECK_INT(m.gpu_n, ==, MACHINE_GPUS);
    CHECK(memcmp(&m, &again, sizeof m) == 0);
    for (unsigned i = 0; i < m.gpu_n; i++) {
        CHECK(hex_groups(m.gpus[i].uuid));
        CHECK_INT(strlen(m.gpus[i].pci), ==, strlen("00000000:07:00.0"));
        CHECK_INT(m.gpus[i].index, ==, i);
        CHECK(machine_find_gpu(&m, m.gpus[i].uuid) == &m.gpus[i]);
        for (unsigned j = 0; j < i; j++) {
            CHECK(strcmp(m.gpus[i].uuid, m.gpus[j].uuid) != 0);
            CHECK(strcmp(m.gpus[i].pci, m.gpus[j].pci) != 0);
        }
    }
    CHECK(machine_find_gpu(&m, "GPU-") == NULL);
    CHECK_INT(machine_parse("64xa100-80", &again, &err), ==, 0);
    CHECK_STR(again.gpus[40].uuid, m.gpus[40].uuid);
    CHECK(strcmp(again.gpus[0].uuid, m.gpus[0].uuid) != 0);
}

TEST(gis_are_found_by_id)
{
    CHECK_INT(machine_parse("a30", &m, &err), ==, 0);
    m.gpus[0].gi_n = 2;
    m.gpus[0].gis[0].id = 3;
    m.gpus[0].gis[1].id = 5;
    CHECK(machine_find_gi(&m.gpus[0], 5) == &m.gpus[0].gis[1]);
    CHECK(machine_find_gi(&m.gpus[0], 0) == NULL);
}

TEST(bad_machines_are_refused_with_a_next_step)
{
    static const struct {
        const char *spec, *says;
    } bad[] = {
        {"", "a name is missing"},
        {",", "a name is missing"},
        {"a30,", "a name is missing"},
        {"4x", "a name is missing"},
        {"4x,a30", "a name is missing"},
        {"0xa30", "must be 1 to 64"},
        {"65xa30", "must be 1 to 64"},
        {"4294967297xa30", "must be 1 to 64"},
        {"99999999999999999999999xa30", "must be 1 to 64"},
        {"33xa30,32xa30", "at most 64"},
        {"-1xa30", "no machine or board"},
        {" a30", "no machine or board"},
        {"xa30", "no machine or board"},
        {"4xdgx-a100", "only in planning"},
        {"dgxa100", "known are dgx-a100,"},
        {"h100sxm", "known are h100-sxm,"},
        {"a100", "known are a100-40, a100-80"},
        {"something-altogether-different", "known are "},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "too long"},
        {"a100-40,a100-80,a30,h20,h200,b200,b300,gb300,gb200", "more than 8 kinds"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CHECK_INT(machine_parse(bad[i].spec, &m, &err), ==, -ERROR_INVALID);
        CHECK_HAS(err.text, bad[i].says);
        CHECK_INT(strlen(err.text), <, ERROR_TEXT - 1);
    }
    /* All names are listed, whatever was asked for. */
    unsigned n;
    const struct board *all = board_all(&n);
    CHECK_INT(machine_parse("zzz", &m, &err), <, 0);
    for (unsigned i = 0; i < n; i++)
        CHECK_HAS(err.text, all[i].name);
    CHECK_HAS(err.text, "p4d.24xlarge");
}

TEST(cap_minors)
{
    CHECK_INT(machine_cap_minor(0, 0, -1), ==, 3);
    CHECK_INT(machine_cap_minor(0, 1, -1), ==, 12);
    CHECK_INT(machine_cap_minor(0, 1, 2), ==, 15);
    CHECK_INT(machine_cap_minor(31, 14, 7), ==, 3 + 135 * 31 + 9 * 14 + 8);
}

TAP_MAIN
