/* The mig backend against the emulated driver: boards as told, every placement, refusals. */
#include "device/test-driver.h"
#include "nvml/abi.h"

static void same_text(const char *what, const char *a, const char *b)
{
    if (strcmp(a, b) != 0)
        TAP_FAIL("%s: \"%s\" against \"%s\"", what, a, b);
}

/* What the driver tells must be what the table says: the emulated one speaks from the table. */
static void check_board(const struct board *is, const char *name)
{
    const struct board *table = board_find(name);
    REQUIRE(table);
    same_text("name", is->name, table->name);
    same_text("product", is->product, table->product);
    CHECK(is->pci_id == table->pci_id && is->family == table->family && is->sms == table->sms);
    CHECK_INT(is->total_mib, ==, table->total_mib);
    CHECK(is->memory_slices == table->memory_slices && is->compute_slices == table->compute_slices);
    CHECK_INT(is->profile_n, ==, table->profile_n);
    CHECK(is->complete == table->complete);
    for (unsigned i = 0; i < MIN(is->profile_n, table->profile_n); i++)
        if (memcmp(&is->profiles[i], &table->profiles[i], sizeof is->profiles[i]) != 0)
            TAP_FAIL("%s: profile %u differs from the table", name, i);
}

static void check_machine(const char *spec, const char *board, unsigned gpus)
{
    REQUIRE(driver_start(spec, "on"));
    struct device *d = open_device();
    REQUIRE(d);
    CHECK(observe(d));
    CHECK_INT(machine.gpu_n, ==, gpus);
    CHECK_INT(machine.board_n, ==, 1);
    CHECK(machine.driver[0]);
    struct machine *wanted = calloc(1, sizeof *wanted);
    struct error err;
    REQUIRE(wanted && machine_parse(spec, wanted, &err) == 0);
    CHECK(machine.unified_memory == wanted->unified_memory);
    for (unsigned i = 0; i < gpus; i++) {
        const struct machine_gpu *g = &machine.gpus[i];
        CHECK(g->index == i && g->minor == i && g->health == MACHINE_OK && g->gi_n == 0);
        CHECK(g->mig == wanted->gpus[i].mig && g->mig_pending == g->mig);
        CHECK_STR(g->uuid, wanted->gpus[i].uuid);
        CHECK_STR(g->pci, wanted->gpus[i].pci);
    }
    check_board(&machine.boards[0], board);
    free(wanted);
    d->ops->free(d);
    driver_stop();
}

TEST(dgx_a100_is_what_its_table_says)
{
    check_machine("dgx-a100", "a100-80", 8);
}

TEST(dgx_h100_is_what_its_table_says)
{
    check_machine("dgx-h100", "h100-sxm", 8);
}

TEST(a30_is_what_its_table_says)
{
    check_machine("4xa30", "a30", 4);
}

TEST(rtx_pro_6000_is_what_its_table_says)
{
    check_machine("rtx-pro-6000", "rtx-pro-6000", 1);
}

TEST(dgx_spark_has_a_gpu_and_no_mig)
{
    check_machine("dgx-spark", "gb10", 1);
}

TEST(mixed_boards_and_mig_off)
{
    REQUIRE(driver_start("2xh100-sxm,1xa30", "off"));
    struct device *d = open_device();
    REQUIRE(d);
    CHECK(observe(d));
    CHECK_INT(machine.board_n, ==, 2);
    CHECK(machine.gpus[0].board == 0 && machine.gpus[2].board == 1);
    CHECK(machine.gpus[1].mig == MACHINE_MIG_OFF);
    check_board(&machine.boards[0], "h100-sxm");
    check_board(&machine.boards[1], "a30");
    /* Only this GPU, with the board's number as the whole machine has it. */
    struct machine_gpu gpu;
    struct error err;
    struct device *fresh = open_device();
    REQUIRE(fresh);
    CHECK(fresh->ops->observe_gpu(fresh, machine.gpus[2].uuid, &gpu, &err) == 0);
    CHECK(gpu.index == 2 && gpu.board == 1);
    CHECK(fresh->ops->observe_gpu(fresh, "GPU-none", &gpu, &err) == -ERROR_NOT_FOUND);
    fresh->ops->free(fresh);
    d->ops->free(d);
    driver_stop();
}

/* Every profile of a board at every start: made, seen where it was asked for, and gone again. */
static void every_placement(const char *spec)
{
    REQUIRE(driver_start(spec, "on"));
    struct device *d = open_device();
    REQUIRE(d);
    CHECK(observe(d));
    const struct board b = machine.boards[0];
    struct machine_gpu gpu;
    struct device_result made;
    struct error err;
    for (unsigned p = 0; p < b.profile_n; p++)
        for (uint8_t start = 0; start < 16; start++) {
            char name[BOARD_PROFILE_NAME];
            if (!(b.profiles[p].starts & 1u << start))
                continue;
            struct device_op op = create_op(0, board_profile_name(&b, &b.profiles[p], name), start);
            op.profile_id = b.profiles[p].id;
            REQUIRE(apply(d, &op, &made, &err) == 0);
            CHECK_INT(made.gi, ==, board_gi_id(&b, start, b.profiles[p].size));
            CHECK(made.gi_minor == 3u + 9u * made.gi);
            CHECK(made.ci_minor == made.gi_minor + 1 + made.ci);
            CHECK(d->ops->observe_gpu(d, op.gpu, &gpu, &err) == 0);
            REQUIRE(gpu.gi_n == 1 && gpu.gis[0].ci_n == 1);
            CHECK(gpu.gis[0].id == made.gi && gpu.gis[0].profile == p);
            CHECK(gpu.gis[0].start == start && gpu.gis[0].size == b.profiles[p].size);
            CHECK_STR(gpu.gis[0].cis[0].uuid, made.uuid);
            CHECK(strncmp(made.uuid, "MIG-", 4) == 0 && gpu.gis[0].cis[0].id == made.ci);
            CHECK_INT(gpu.gis[0].cis[0].sms, ==, b.profiles[p].sms);
            CHECK(destroy(d, 0, made.gi, &err) == 0);
            CHECK(destroy(d, 0, made.gi, &err) == 0);
        }
    CHECK(observe(d) && machine.gpus[0].gi_n == 0);
    d->ops->free(d);
    driver_stop();
}

TEST(every_placement_of_an_a100)
{
    every_placement("a100-80");
}

TEST(every_placement_of_an_h100)
{
    every_placement("h100-nvl");
}

TEST(every_placement_of_a_12_slice_board)
{
    every_placement("rtx-pro-6000");
}

TEST(what_does_not_fit_is_refused_and_leaves_nothing)
{
    REQUIRE(driver_start("a100-80", "on"));
    struct device *d = open_device();
    REQUIRE(d && observe(d));
    struct device_result made;
    struct error err;
    struct device_op big = create_op(0, "4g.40gb", 0), small = create_op(0, "1g.10gb", 2);
    CHECK(apply(d, &big, &made, &err) == 0);
    CHECK(apply(d, &small, &made, &err) == -ERROR_NO_FIT);
    CHECK_HAS(err.text, "Insufficient Resources");
    CHECK_INT(err.sys, ==, NVML_ERROR_INSUFFICIENT_RESOURCES);
    struct device_op unknown = small;
    unknown.profile_id = 77;
    unknown.start = 4;
    CHECK(apply(d, &unknown, &made, &err) < 0);
    snprintf(unknown.gpu, sizeof unknown.gpu, "GPU-none");
    CHECK(apply(d, &unknown, &made, &err) == -ERROR_NOT_FOUND);
    CHECK(observe(d) && machine.gpus[0].gi_n == 1);
    d->ops->free(d);
    driver_stop();
}

TEST(a_refused_compute_instance_takes_the_gpu_instance_back)
{
    REQUIRE(driver_start("a100-80", "on"));
    struct device *d = open_device();
    REQUIRE(d && observe(d));
    struct device_result made;
    struct error err;
    struct device_op op = create_op(0, "3g.40gb", 4);
    REQUIRE(ctl_done("fail", "nvmlGpuInstanceCreateComputeInstance", "23", "1"));
    CHECK(apply(d, &op, &made, &err) == -ERROR_NO_FIT);
    CHECK(observe(d) && machine.gpus[0].gi_n == 0);
    CHECK(apply(d, &op, &made, &err) == 0);
    CHECK(destroy(d, 0, made.gi, &err) == 0);
    /* Even the rollback fails: then it is said, with the id of what is left. */
    REQUIRE(ctl_done("fail", "nvmlGpuInstanceCreateComputeInstance", "23", "1"));
    REQUIRE(ctl_done("fail", "nvmlGpuInstanceDestroy", "19", "1"));
    CHECK(apply(d, &op, &made, &err) < 0);
    CHECK_HAS(err.text, "could not be removed again");
    CHECK(observe(d) && machine.gpus[0].gi_n == 1 && machine.gpus[0].gis[0].id == made.gi);
    CHECK(machine.gpus[0].gis[0].ci_n == 0);
    CHECK(destroy(d, 0, made.gi, &err) == 0);
    d->ops->free(d);
    driver_stop();
}

/* Waits until the GPU or instance has `n` processes; the number it has. */
static size_t process_count(struct device *d, const char *uuid, size_t n,
                            struct device_process ret[8])
{
    size_t is = 99;
    struct error err = {0};
    for (int i = 0; i < 200; i++) {
        if (d->ops->processes(d, uuid, ret, 8, &is, &err) < 0)
            printf("# %s\n", err.text);
        if (is == n)
            break;
        poll(NULL, 0, 10);
    }
    return is;
}

TEST(in_use_names_the_process_or_suspects_a_monitor)
{
    REQUIRE(driver_start("a100-80", "on"));
    struct device *d = open_device();
    REQUIRE(d && observe(d));
    struct device_result made;
    struct device_process on[8];
    struct error err;
    struct device_op op = create_op(0, "1g.10gb", 3);
    REQUIRE(apply(d, &op, &made, &err) == 0);
    pid_t user = ctl("hold", made.uuid, "100", NULL);
    REQUIRE(process_count(d, op.gpu, 1, on) == 1);
    CHECK(on[0].pid == (uint32_t)user && on[0].gi == made.gi && on[0].ci == made.ci);
    CHECK_INT(on[0].bytes >> 20, ==, 100);
    CHECK(destroy(d, 0, made.gi, &err) == -ERROR_IN_USE);
    char number[16];
    snprintf(number, sizeof number, "%d", user);
    CHECK_HAS(err.text, number);
    CHECK_INT(err.sys, ==, NVML_ERROR_IN_USE);
    end(user);
    CHECK_INT(process_count(d, op.gpu, 0, on), ==, 0);
    REQUIRE(ctl_done("fail", "nvmlGpuInstanceDestroy", "19", "1"));
    CHECK(destroy(d, 0, made.gi, &err) == -ERROR_IN_USE);
    CHECK_HAS(err.text, "monitor");
    /* The compute instance went already; asking again finishes the rest. */
    CHECK(observe(d) && machine.gpus[0].gi_n == 1 && machine.gpus[0].gis[0].ci_n == 0);
    CHECK(destroy(d, 0, made.gi, &err) == 0);
    d->ops->free(d);
    driver_stop();
}

TEST(mode_changes_on_an_idle_and_on_a_busy_gpu)
{
    REQUIRE(driver_start("2xa100-80", "off"));
    struct device *d = open_device();
    REQUIRE(d && observe(d));
    struct device_op op = {.kind = DEVICE_SET_MODE, .mig_on = true};
    struct device_result made;
    struct error err;
    snprintf(op.gpu, sizeof op.gpu, "%s", machine.gpus[1].uuid);
    CHECK(apply(d, &op, &made, &err) == 0);
    CHECK(!made.pending);
    CHECK(observe(d) && machine.gpus[1].mig == MACHINE_MIG_ON);
    CHECK(machine.gpus[0].mig == MACHINE_MIG_OFF);
    snprintf(op.gpu, sizeof op.gpu, "%s", machine.gpus[0].uuid);
    struct device_process on[8];
    pid_t user = ctl("hold", op.gpu, "100", NULL);
    REQUIRE(process_count(d, op.gpu, 1, on) == 1);
    CHECK(on[0].gi == 0xff);
    CHECK(apply(d, &op, &made, &err) == 0);
    CHECK(made.pending);
    CHECK_INT(err.code, ==, ERROR_IN_USE);
    CHECK(observe(d) && machine.gpus[0].mig == MACHINE_MIG_OFF &&
          machine.gpus[0].mig_pending == MACHINE_MIG_ON);
    end(user);
    REQUIRE(process_count(d, op.gpu, 0, on) == 0);
    CHECK(apply(d, &op, &made, &err) == 0);
    CHECK(!made.pending);
    d->ops->free(d);
    driver_stop();
}

TEST(a_machine_that_cannot_reset_says_that_a_reset_is_needed)
{
    REQUIRE(driver_start("p4d.24xlarge", "off"));
    struct device *d = open_device();
    REQUIRE(d && observe(d));
    struct device_op op = {.kind = DEVICE_SET_MODE, .mig_on = true};
    struct device_result made;
    struct error err;
    snprintf(op.gpu, sizeof op.gpu, "%s", machine.gpus[0].uuid);
    CHECK(apply(d, &op, &made, &err) == 0);
    CHECK(made.pending);
    CHECK_HAS(err.text, "reset");
    CHECK_INT(err.sys, ==, NVML_ERROR_RESET_REQUIRED);
    d->ops->free(d);
    driver_stop();
}

TEST(gpus_without_mig_refuse_in_words)
{
    REQUIRE(driver_start("dgx-spark", "on"));
    struct device *d = open_device();
    REQUIRE(d && observe(d));
    struct device_op op = {.kind = DEVICE_SET_MODE, .mig_on = true};
    struct device_result made;
    struct error err;
    snprintf(op.gpu, sizeof op.gpu, "%s", machine.gpus[0].uuid);
    CHECK(apply(d, &op, &made, &err) == -ERROR_UNSUPPORTED);
    CHECK_HAS(err.text, "Not Supported");
    op = (struct device_op){.kind = DEVICE_CREATE, .profile_id = 19, .size = 1};
    snprintf(op.gpu, sizeof op.gpu, "%s", machine.gpus[0].uuid);
    CHECK(apply(d, &op, &made, &err) == -ERROR_UNSUPPORTED);
    d->ops->free(d);
    driver_stop();
}

TEST(one_lost_gpu_does_not_hide_the_others)
{
    REQUIRE(driver_start("4xa30", "on"));
    struct device *d = open_device();
    REQUIRE(d && observe(d));
    char uuid[MACHINE_UUID];
    snprintf(uuid, sizeof uuid, "%s", machine.gpus[2].uuid);
    REQUIRE(ctl_done("lose", "2", NULL, NULL));
    REQUIRE(observe(d));
    CHECK_INT(machine.gpu_n, ==, 4);
    CHECK(machine.gpus[2].health == MACHINE_LOST && machine.gpus[3].health == MACHINE_OK);
    CHECK_HAS(machine.gpus[2].health_text, "lost");
    CHECK_STR(machine.gpus[2].uuid, uuid);
    struct device_result made;
    struct error err;
    struct device_op op = create_op(3, "2g.12gb", 2);
    CHECK(apply(d, &op, &made, &err) == 0);
    d->ops->free(d);
    driver_stop();
}

TAP_MAIN
