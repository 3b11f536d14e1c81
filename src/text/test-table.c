/* Tables and pictures against what they must look like, to the byte. */
#include "text/table.h"

#include "tests/tap.h"
#include "text/test-fail.h"

#include <fcntl.h>
#include <locale.h>
#include <unistd.h>

static const struct table_look ascii = {0}, utf8 = {.utf8 = true},
                               colour = {.utf8 = true, .colour = true};

static void fill(struct table *t)
{
    table_head(t, (const char *const[]){"ID", "OWNER", "COMMAND"});
    table_addf(t, "%d", 7);
    table_add(t, TABLE_PLAIN, "zoë");
    table_add(t, TABLE_GREEN, "python train.py --epochs 90");
    table_addf(t, "%d", 1234);
    table_add(t, TABLE_PLAIN, "日本");
    table_add(t, TABLE_PLAIN, "");
}

static void check_table(const struct table_look *look, const char *want)
{
    AUTO_TABLE struct table t = {.columns = 3, .right = 1};
    AUTO_STR struct str out = {0};
    REQUIRE(setlocale(LC_ALL, "C.UTF-8"));
    fill(&t);
    table_print(&t, look, &out);
    REQUIRE(!out.failed && out.text);
    CHECK_STR(out.text, want);
}

TEST(columns_align)
{
    check_table(&utf8, "  ID  OWNER  COMMAND\n"
                       "   7  zoë    python train.py --epochs 90\n"
                       "1234  日本\n");
    check_table(&ascii, "  ID  OWNER  COMMAND\n"
                        "   7  zo?    python train.py --epochs 90\n"
                        "1234  ??\n");
}

TEST(last_column_is_cut)
{
    struct table_look look = {.utf8 = true, .width = 25};
    check_table(&look, "  ID  OWNER  COMMAND\n"
                       "   7  zoë    python trai…\n"
                       "1234  日本\n");
    look = (struct table_look){.width = 25};
    check_table(&look, "  ID  OWNER  COMMAND\n"
                       "   7  zo?    python tr...\n"
                       "1234  ??\n");
}

TEST(colour_does_not_count)
{
    check_table(&colour, "  \033[1mID\033[0m  \033[1mOWNER\033[0m  \033[1mCOMMAND\033[0m\n"
                         "   7  zoë    \033[32mpython train.py --epochs 90\033[0m\n"
                         "1234  日本\n");
}

TEST(no_escape_reaches_the_terminal)
{
    AUTO_STR struct str out = {0};
    table_styled(&out, &utf8, TABLE_RED, "a\033[31mb\xc2\x9b\xff\n\xe2\x80\xae");
    REQUIRE(out.text);
    CHECK_STR(out.text, "a?[31mb????");
}

static void check_bar(const struct table_look *look, unsigned lines, unsigned slices,
                      const struct table_segment *segments, size_t n, const char *want)
{
    AUTO_STR struct str out = {0};
    REQUIRE(setlocale(LC_ALL, "C.UTF-8"));
    table_bar(&out, look, 2, lines, slices, segments, n);
    REQUIRE(out.text);
    CHECK_STR(out.text, want);
}

TEST(gpu_picture)
{
    const struct table_segment s[] = {{0, 1, "1g.10gb", "al", TABLE_PLAIN},
                                      {1, 1, "1g.10gb", "christopher", TABLE_PLAIN},
                                      {4, 4, "3g.40gb", "bob", TABLE_PLAIN}};
    struct table_look look = {.utf8 = true, .width = 91};
    check_bar(&look, 1, 8, s, 3,
              "  │1g.10gb al│1g.10gb ch│·····················│3g.40gb bob                          "
              "      │\n");
    check_bar(&look, 2, 8, s, 3,
              "  │1g.10gb   │1g.10gb   │·····················│3g.40gb                              "
              "      │\n"
              "  │al        │christophe│·····················│bob                                  "
              "      │\n");
    look.utf8 = false;
    check_bar(&look, 1, 8, s, 3,
              "  |1g.10gb al|1g.10gb ch|.....................|3g.40gb bob                          "
              "      |\n");
    check_bar(&look, 1, 8, NULL, 0,
              "  "
              "|..................................................................................."
              "....|\n");
    look.width = 12;
    check_bar(&look, 1, 8, s, 3, "  |1|1|...|3g.40gb|\n");
}

TEST(bad_segments_are_left_out)
{
    const struct table_segment s[] = {{0, 2, "a", NULL, TABLE_BLUE},
                                      {1, 2, "overlaps", NULL, TABLE_PLAIN},
                                      {3, 9, "too far", NULL, TABLE_PLAIN},
                                      {9, 1, "outside", NULL, TABLE_PLAIN},
                                      {3, 1, "b", NULL, TABLE_PLAIN}};
    struct table_look look = {.colour = true, .width = 19};
    check_bar(&look, 1, 4, s, 5, "  |\033[34ma\033[0m      |...|b  |\n");
}

TEST(look_of_a_pipe_is_plain)
{
    int fds[2];
    REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
    struct table_look look = table_look(fds[1]);
    CHECK(!look.colour && look.width == 0);
    close(fds[0]);
    close(fds[1]);
}

TEST(look_of_a_terminal)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0)
        SKIP("no pseudo-terminals here");
    int fd = open(ptsname(master), O_RDWR | O_NOCTTY);
    REQUIRE(fd >= 0);
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    CHECK(table_look(fd).colour);
    setenv("NO_COLOR", "1", 1);
    CHECK(!table_look(fd).colour);
    unsetenv("NO_COLOR");
    setenv("TERM", "dumb", 1);
    CHECK(!table_look(fd).colour);
    close(fd);
    close(master);
}

static int make_table(void)
{
    AUTO_TABLE struct table t = {.columns = 3, .right = 1};
    AUTO_STR struct str out = {0};
    fill(&t);
    table_print(&t, &utf8, &out);
    return out.failed ? -1 : 0;
}

TEST(every_allocation_may_fail)
{
    unsigned failures;
    CHECK_INT(fail_each(make_table, &failures), ==, 0);
    CHECK_INT(failures, >, 8);
}

TAP_MAIN
