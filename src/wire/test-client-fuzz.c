/* Any bytes at all as a reply: the client must take what is right, refuse the rest with a text, and
 * touch no memory but its own (the sanitizer build tells).
 *
 * The client's source is included to feed its reader directly. With -DFETTA_LIBFUZZER and
 * clang -fsanitize=fuzzer,address the same file is a libFuzzer target instead of a test. */
#include "wire/client.c" /* for its statics */

#include "base/rng.h"
#include "tests/tap.h"

#include <time.h>

static int any_line(const char *text, void *arg)
{
    *(size_t *)arg += strlen(text);
    return 0;
}

/* What holds for every reply there may be. */
static void judge(const struct call *k, int rc, bool lines_only)
{
    if (rc != 0) {
        CHECK(rc == -ERROR_IO && k->err->code == ERROR_IO && k->err->text[0]);
        return;
    }
    CHECK(k->status >= 200 && k->status < 600);
    if (k->sized && !lines_only && k->status != 204 && k->status != 304)
        CHECK_INT(k->body.len, ==, k->size);
}

/* Reads `size` bytes as a reply. Returns what read_reply did; *ret_len is the body's length. */
static int feed(const void *bytes, size_t size, bool stream, int *ret_status, size_t *ret_len)
{
    int pair[2];
    struct error err = {0};
    struct client *c = calloc(1, sizeof *c);
    size_t seen = 0;
    if (!c || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        exit(99);
    c->fd = pair[0];
    c->live = true;
    size = MIN(size, (size_t)100000); /* what a socket surely holds */
    if (send(pair[1], bytes, size, MSG_DONTWAIT) != (ssize_t)size)
        exit(98);
    shutdown(pair[1], SHUT_WR);
    struct call k = {.err = &err, .deadline = time_boot() + 10 * TIME_S};
    if (stream) {
        k.line = any_line;
        k.arg = &seen;
    }
    int rc = read_reply(c, &k);
    judge(&k, rc, stream && k.status == 200);
    *ret_len = stream && k.status == 200 ? seen : k.body.len;
    *ret_status = k.status;
    str_done(&k.body);
    close(pair[0]);
    close(pair[1]);
    free(c);
    return rc;
}

#ifdef FETTA_LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int status;
    size_t len;
    feed(data, size, size & 1, &status, &len);
    if (tap_failed)
        abort();
    return 0;
}
#else

#define HEAD "HTTP/1.1 200 OK\r\nFetta-Version: 0.1.0\r\nConnection: Keep-Alive\r\n"
#define NOT_FOUND "HTTP/1.1 404 Not Found\r\nContent-Length: 50\r\n\r\n"
#define CHUNKED HEAD "Transfer-Encoding: chunked\r\n\r\n"

static const char *const good[] = {
    HEAD "Content-Length: 7\r\n\r\n{\"a\":1}",
    HEAD "content-length:0\r\n\r\n",
    CHUNKED "5\r\n{\"a\":\r\n2\r\n1}\r\n0\r\n\r\n",
    CHUNKED "1B\r\n"
    "{\"event\": \"hello\", \"n\":12}\n\r\n0\r\nX: y\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n" HEAD "Content-Length: 2\r\n\r\n{}",
    NOT_FOUND "{\"error\":{\"code\":\"not-found\",\"text\":\"no lease 9\"}}",
};

TEST(replies_are_read_and_every_shorter_one_refused)
{
    static const size_t length[] = {7, 0, 7, 27, 2, 50};
    int status;
    size_t len;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        size_t size = strlen(good[i]);
        CHECK_INT(feed(good[i], size, false, &status, &len), ==, 0);
        CHECK_INT(len, ==, length[i]);
        CHECK_INT(status, ==, i == 5 ? 404 : 200);
        for (size_t cut = 0; cut < size; cut++)
            CHECK_INT(feed(good[i], cut, cut & 1, &status, &len), ==, -ERROR_IO);
    }
    CHECK_INT(feed("HTTP/1.0 200 OK\r\n\r\nto the end", 29, false, &status, &len), ==, 0);
    CHECK_INT(len, ==, 10);
}

TEST(what_is_nearly_right_is_refused)
{
    static const char *const bad[] = {
        HEAD "Content-Length: -1\r\n\r\n", HEAD "Content-Length: +1\r\n\r\nx",
        HEAD "Content-Length: 0x1\r\n\r\nx", HEAD "Content-Length: 1 1\r\n\r\nx",
        HEAD "Content-Length: 67108865\r\n\r\n",
        HEAD "Content-Length: 99999999999999999999999\r\n\r\n",
        HEAD "Content-Length: \r\n\r\n", HEAD "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        HEAD "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD "Transfer-Encoding: gzip\r\n\r\nx",
        HEAD "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        CHUNKED "-1\r\n\r\n", CHUNKED " 0\r\n\r\n",
        CHUNKED "FFFFFFFF\r\n", CHUNKED ""
        "000000001\r\nx\r\n0\r\n\r\n", CHUNKED "1\r\nxx\r\n0\r\n\r\n",
        CHUNKED "1;a=b\r\nx\r\n0\r\n\r\n",
        HEAD "no colon\r\n\r\n", HEAD ": nameless\r\n\r\n", HEAD "two words: x\r\n\r\n",
        HEAD " folded: x\r\n\r\n",
        "HTTP/2 200\r\n\r\n", "HTTP/1.1 99 x\r\n\r\n", "HTTP/1.1 600 x\r\n\r\n",
        "HTTP/1.1 2000 x\r\n\r\n",
        "HTTP/1.1 20\r\n\r\n", "HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\n\n", "HTTP/1.1 101 Up\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n", "",
    };
    int status;
    size_t len;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (feed(bad[i], strlen(bad[i]), false, &status, &len) == 0)
            TAP_FAIL("taken as right: %s", bad[i]);
    }
}

TEST(endless_heads_and_lines_are_refused)
{
    enum { LONG = 90000 };
    char *text = malloc(LONG);
    int status;
    size_t len;
    memset(text, 'a', LONG);
    CHECK_INT(feed(text, LONG, false, &status, &len), ==, -ERROR_IO);
    memcpy(text, "HTTP/1.1 200 OK\r\n", 17);
    CHECK_INT(feed(text, LONG, false, &status, &len), ==, -ERROR_IO);
    for (size_t i = 17; i + 6 < LONG; i += 6)
        memcpy(text + i, "a: b\r\n", 6);
    CHECK_INT(feed(text, LONG, false, &status, &len), ==, -ERROR_IO);
    for (size_t i = 0; i + 25 < LONG; i += 25)
        memcpy(text + i, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    CHECK_INT(feed(text, LONG, false, &status, &len), ==, -ERROR_IO);
    free(text);
}

/* One random change: a byte set, a span removed, doubled, or replaced from another reply. */
static size_t mutate(struct rng *r, char *text, size_t n, size_t room)
{
    static const char bytes[] = "\r\n\0 :;09aAfFx-\xff";
    size_t at = rng_below(r, (uint32_t)n + 1), span = rng_below(r, 12);
    span = MIN(span, n - at);
    switch (rng_below(r, 4)) {
    case 0:
        if (at < n)
            text[at] = bytes[rng_below(r, sizeof bytes - 1)];
        return n;
    case 1:
        memmove(text + at, text + at + span, n - at - span);
        return n - span;
    case 2:
        if (n + span > room)
            return n;
        memmove(text + at + span, text + at, n - at);
        return n + span;
    default: {
        const char *other = good[rng_below(r, ARRAY_LEN(good))];
        size_t from = rng_below(r, (uint32_t)strlen(other));
        span = MIN(span, strlen(other) - from);
        memcpy(text + at, other + from, MIN(span, n - at));
        return n;
    }
    }
}

TEST(random_changes_never_break_it)
{
    enum { RUNS = 20000, ROOM = 1024 };
    const char *given = getenv("FETTA_SEED");
    struct rng r = {given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL)};
    printf("# FETTA_SEED=%" PRIu64 "\n", r.state);
    int taken = 0;
    for (int run = 0; run < RUNS && !tap_failed; run++) {
        char text[ROOM];
        const char *from = good[rng_below(&r, ARRAY_LEN(good))];
        size_t n = strlen(from), len;
        int status;
        memcpy(text, from, n);
        for (uint32_t i = 1 + rng_below(&r, 4); i > 0; i--)
            n = mutate(&r, text, n, ROOM);
        char *exact = malloc(n + 1); /* for the sanitizer: not one byte more */
        memcpy(exact, text, n);
        taken += feed(exact, n, run & 1, &status, &len) == 0;
        free(exact);
    }
    CHECK_INT(taken, >, RUNS / 100); /* the changes are neither all fatal ... */
    CHECK_INT(taken, <, RUNS - RUNS / 100); /* ... nor all harmless */
}

TAP_MAIN
#endif
