/* The agenda against a search through all that was said. */
#include "sim/agenda.h"

#include "base/rng.h"
#include "base/time.h"
#include "tests/tap.h"

enum { MOST = 2000 };

struct said {
    bool open;
    int64_t at;
};

struct heard {
    unsigned early, next;
};

static void hear(void *arg, const struct agenda_item *item, bool next)
{
    struct heard *h = arg;
    (void)item;
    h->early += !next;
    h->next += next;
}

/* The first one said of those that are to happen first; MOST if nothing is. */
static unsigned first(const struct said *all, unsigned n)
{
    unsigned best = MOST;
    for (unsigned i = 0; i < n; i++) {
        if (all[i].open && (best == MOST || all[i].at < all[best].at))
            best = i;
    }
    return best;
}

/* Times from all scales, many of them alike. */
static int64_t some_time(struct rng *r, int64_t now)
{
    static const int64_t scales[] = {1, 4, 100, TIME_S, 1000 * TIME_S};
    if (rng_below(r, 50) == 0 || now == TIME_NEVER)
        return TIME_NEVER;
    return now + rng_below(r, 4) * scales[rng_below(r, 5)] / (1 + rng_below(r, 3));
}

TEST(what_is_first_and_was_said_first_happens_first)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct rng r = {seed};
        struct heard heard = {0, 0};
        struct agenda q = {.soon = hear, .soon_arg = &heard};
        static struct said all[MOST];
        struct error err;
        int64_t now = 0;
        unsigned n = 0;
        CHECK(agenda_empty(&q) && agenda_next(&q) == INT64_MAX);
        while (n < MOST || !agenda_empty(&q)) {
            unsigned want = first(all, n);
            CHECK_INT(agenda_next(&q), ==, want == MOST ? INT64_MAX : all[want].at);
            if (n < MOST && (want == MOST || rng_below(&r, 5) < (n % 500 < 250 ? 4 : 1))) {
                struct agenda_item item = {.at = some_time(&r, now), .op = n};
                REQUIRE(agenda_add(&q, item, &err) == 0);
                all[n++] = (struct said){true, item.at};
                continue;
            }
            struct agenda_item got;
            REQUIRE(agenda_take(&q, &got, &err) == 0);
            CHECK_INT(got.op, ==, want);
            all[got.op].open = false;
            now = got.at;
        }
        CHECK(heard.early > 0 && heard.next > 0);
        agenda_done(&q);
    }
}

TAP_MAIN
