/* `fetta emulate fault` and `fetta emulate clock`: the trouble and the time of the emulated machine
 * around us, changed and looked at while it runs. */
#include "cli/args.h"
#include "cli/emu.h"
#include "cli/fault_plan.h"

#include "base/fd.h"
#include "base/time.h"
#include "emul/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In pieces, of which the last one makes it the machine's plan. */
static int send_plan(const char *path, struct error *err)
{
    AUTO_FREE void *bytes = NULL;
    AUTO_FD int fd = -1;
    size_t size = 0;
    struct emu_reply reply;
    int r = fault_plan_read(path, &bytes, &size, err);
    if (r == 0)
        r = emu_connect(&fd, err);
    for (size_t at = 0; r == 0 && at < size;) {
        struct emu_request q = {.call = EMU_PLAN};
        size_t n = MIN(size - at, (size_t)EMU_TEXT - 1);
        memcpy(q.text, (char *)bytes + at, n);
        at += n;
        q.arg[0] = n;
        q.arg[1] = at == size;
        r = emu_ask(fd, &q, &reply, NULL, 0, err);
    }
    return r;
}

static int clear(struct error *err)
{
    AUTO_FD int fd = -1;
    struct emu_request q = {.call = EMU_CLEAR};
    struct emu_reply reply;
    int r = emu_connect(&fd, err);
    return r < 0 ? r : emu_ask(fd, &q, &reply, NULL, 0, err);
}

struct answer {
    struct fault rule;
    struct fault_state state;
};

static int list(struct cli *c, struct error *err)
{
    AUTO_FD int fd = -1;
    AUTO_TABLE struct table t = {.columns = 5, .right = 1u << 0 | 1u << 2 | 1u << 3};
    AUTO_STR struct str out = {0};
    struct emu_reply reply = {.count = 1};
    static const char *const names[] = {"#", "rule", "matched", "hit", "state"};
    int r = emu_connect(&fd, err);
    table_head(&t, names);
    for (uint32_t i = 0; r == 0 && i < reply.count; i++) {
        struct emu_request q = {.call = EMU_RULE, .arg = {i}};
        struct answer a = {0};
        r = emu_ask(fd, &q, &reply, &a, sizeof a, err);
        if (r < 0 || i >= reply.count)
            break;
        table_addf(&t, "%u", i + 1);
        table_add(&t, TABLE_PLAIN, a.rule.label);
        table_addf(&t, "%" PRIu64, a.state.seen);
        table_addf(&t, "%" PRIu64, a.state.hits);
        table_add(&t, TABLE_PLAIN, a.state.due == -1 ? "spent" : "waiting");
    }
    if (r < 0)
        return r;
    if (reply.count == 0)
        str_add(&out, "no faults\n");
    else
        table_print(&t, &c->out, &out);
    return cli_print(c, &out);
}

static int latencies(struct cli *c)
{
    AUTO_TABLE struct table t = {.columns = 5, .right = 1u << 2 | 1u << 3};
    AUTO_STR struct str out = {0};
    static const char *const names[] = {"operation", "boards", "median", "p99", "figure"};
    /* In this order, one row for those that are alike and lie side by side. */
    static const struct {
        const char *board, *name;
    } kinds[] = {{"a30", "A30"}, {"a100-80", "other Ampere"}, {"h100-sxm", "later"}};
    table_head(&t, names);
    for (unsigned op = 0; op < LATENCY_OPS; op++) {
        struct latency of[ARRAY_LEN(kinds)];
        const char *source[ARRAY_LEN(kinds)];
        for (unsigned i = 0; i < ARRAY_LEN(kinds); i++)
            of[i] = latency_board(board_find(kinds[i].board), op, &source[i]);
        bool first = of[0].a == of[1].a && of[0].b == of[1].b;
        bool last = of[1].a == of[2].a && of[1].b == of[2].b;
        for (unsigned i = first; i < (last ? 2 : ARRAY_LEN(kinds)); i++) {
            table_add(&t, TABLE_BOLD, latency_op_name(op));
            table_add(&t, TABLE_PLAIN,
                      first && last     ? "all"
                      : first && i == 1 ? "Ampere"
                      : last && i == 1  ? "others"
                                        : kinds[i].name);
            table_addf(&t, "%g ms", (double)of[i].a / (double)TIME_MS);
            table_addf(&t, "%g ms", (double)of[i].b / (double)TIME_MS);
            table_add(&t, TABLE_PLAIN, source[i]);
        }
    }
    table_print(&t, &(struct table_look){.colour = c->out.colour, .utf8 = c->out.utf8}, &out);
    return cli_print(c, &out);
}

int verb_emulate_fault(struct cli *c, int argc, char **argv)
{
    struct args a = {0};
    struct error err;
    bool example = false, figures = false;
    int first;
    args_add(&a, (struct args_option){"example", 0, ARGS_FLAG, &example, NULL,
                                      "print a fault plan with all there is, explained"});
    args_add(&a, (struct args_option){"latency", 0, ARGS_FLAG, &figures, NULL,
                                      "print what operations take with --latency board, and where "
                                      "that is from"});
    int r = args_parse(&a, c, argc, argv, &first, &err);
    if (r)
        return r < 0 ? cli_fail(c, &err) : 0;
    if (example) {
        AUTO_STR struct str out = {0};
        str_add(&out, fault_plan_example);
        return cli_print(c, &out);
    }
    if (figures)
        return latencies(c);
    r = args_count(c, argc - first, 1, 1, &err);
    if (r == 0 && strcmp(argv[first], "clear") == 0)
        r = clear(&err);
    else if (r == 0 && strcmp(argv[first], "list") == 0)
        r = list(c, &err);
    else if (r == 0)
        r = send_plan(argv[first], &err);
    return r < 0 ? cli_fail(c, &err) : r;
}

int verb_emulate_clock(struct cli *c, int argc, char **argv)
{
    struct args a = {0};
    struct error err;
    AUTO_FD int fd = -1;
    AUTO_STR struct str out = {0};
    struct emu_request q = {.call = EMU_CLOCK};
    struct emu_reply reply;
    struct emu_clock now = {0};
    int64_t ns = 0;
    int first;
    int r = args_parse(&a, c, argc, argv, &first, &err);
    if (r)
        return r < 0 ? cli_fail(c, &err) : 0;
    if (argc - first != 0)
        r = args_count(c, argc - first, 2, 2, &err);
    if (r == 0 && argc != first && strcmp(argv[first], "advance") != 0)
        r = error_set(&err, ERROR_INVALID,
                      "'%.24s' is not advance; write fetta emulate clock "
                      "advance 1h",
                      argv[first]);
    else if (r == 0 && argc != first)
        r = time_parse(argv[first + 1], "advance", &ns, &err);
    q.arg[0] = (uint64_t)ns;
    if (r == 0)
        r = emu_connect(&fd, &err);
    if (r == 0)
        r = emu_ask(fd, &q, &reply, &now, sizeof now, &err);
    if (r < 0)
        return cli_fail(c, &err);
    str_addf(&out, "%" PRId64 ".%03d s, ", now.now / TIME_S, (int)(now.now % TIME_S / TIME_MS));
    if (now.kind == CLOCK_KIND_SCALED)
        str_addf(&out, "x%u\n", now.factor);
    else
        str_add(&out, now.kind == CLOCK_KIND_VIRTUAL ? "virtual\n" : "real\n");
    return cli_print(c, &out);
}
