/* Against what queueing theory knows exactly, and against what must hold whatever the times are. */
#include "share/queue.h"

#include "base/macro.h"
#include "tests/tap.h"

#include <math.h>

enum { MANY = 100000 };

static struct queue_server server(double rate, double own, double device)
{
    struct queue_server s = {.rate = rate, .batch = 1};
    s.own[1] = own;
    s.device[1] = device;
    return s;
}

static struct queue_result run(const struct queue_server *s, unsigned n, struct queue_result *all)
{
    struct error err;
    CHECK_INT(queue_run(s, n, MANY, 5, all, &err), ==, 0);
    return all[0];
}

/* M/D/1 at half load: half of the requests find nobody; busy is the load. */
TEST(one_server)
{
    struct queue_server s = server(50, 0, 0.01);
    struct queue_result all[1], r = run(&s, 1, all);
    printf("# p50 %.5f p99 %.5f busy %.4f\n", r.p50, r.p99, r.busy);
    CHECK(fabs(r.busy - 0.5) < 0.01);
    CHECK(r.p50 >= 0.01 - 1e-9 && r.p50 < 0.0102);
    /* P(wait <= t) of M/D/1 for t in [D, 2D): (1 - rho) (e^(rho t/D) - rho (t/D - 1) e^(rho (t/D -
     * 1))), and the next term beyond; 0.99 is reached at 3.19 D of waiting by that formula. */
    CHECK(r.p99 > 0.038 && r.p99 < 0.046);
    CHECK(!r.drowned && fabs(r.mean_batch - 1) < 1e-9);
    CHECK(queue_part(0) == 0 && fabs(queue_part(10) - 0.9) < 1e-12);
    CHECK(fabs(queue_part(20) - 0.99) < 1e-12 && fabs(queue_part(QUEUE_CURVE - 1) - 0.999) < 1e-12);
    CHECK(r.curve[0] >= 0.01 - 1e-9 && fabs(r.curve[20] / r.p99 - 1) < 0.01);
    CHECK(r.curve[3] <= r.p50 && r.curve[4] >= r.p50); /* of 0.499 and 0.602 */
    for (unsigned i = 1; i < QUEUE_CURVE; i++)
        CHECK(r.curve[i] >= r.curve[i - 1]);
    s.rate = 110;
    CHECK(run(&s, 1, all).drowned);
}

TEST(batches_help)
{
    struct queue_server s = server(150, 0, 0.01);
    struct queue_result all[1];
    s.batch = 8;
    for (unsigned b = 1; b <= 8; b++)
        s.device[b] = 0.01 + 0.001 * b;
    struct queue_result r = run(&s, 1, all);
    CHECK(!r.drowned && r.mean_batch > 1.5 && r.p99 < 0.04);
}

/* Neighbours never speed anybody up, and who works mostly by itself is hardly disturbed. */
TEST(neighbours)
{
    struct queue_server s[3] = {server(30, 0.002, 0.01), server(30, 0.002, 0.01),
                                server(10, 0.03, 0.001)};
    struct queue_result all[3], alone[1];
    struct queue_result first = run(s, 1, alone);
    run(s, 2, all);
    CHECK(all[0].p99 > first.p99 && all[0].p50 >= first.p50 - 1e-9);
    CHECK(fabs(all[0].busy + all[1].busy - 0.6) < 0.02);
    run(s, 3, all);
    CHECK(all[2].p50 > 0.031 && all[2].p50 < 0.042);
    struct queue_result again[3];
    run(s, 3, again);
    for (unsigned i = 0; i < 3; i++)
        CHECK(all[i].p99 == again[i].p99 && all[i].busy == again[i].busy);
}

TAP_MAIN
