/* The files of an emulated machine. Making nodes takes root, so the tree itself is tested only
 * there; its mounts are tested with `fetta emulate --files`. */
#include "files/render.h"
#include "files/tree.h"

#include "tests/tap.h"

#include <ftw.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static const char host[] = "Character devices:\n  1 mem\n203 cpu/cpuid\n253 dimmctl\n254 ndctl\n"
                           "\nBlock devices:\n  7 loop\n252 zram\n";

TEST(devices)
{
    AUTO_STR struct str text = {0};
    struct render_majors majors;
    CHECK(render_devices(host, "550.54.15", &text, &majors));
    CHECK_STR(text.text, "Character devices:\n  1 mem\n195 nvidia\n195 nvidiactl\n203 cpu/cpuid\n"
                         "251 nvidia-uvm\n252 nvidia-caps\n253 dimmctl\n254 ndctl\n"
                         "\nBlock devices:\n  7 loop\n252 zram\n");
    CHECK_INT(majors.uvm, ==, 251);
    CHECK_INT(majors.caps, ==, 252);
}

TEST(devices_of_an_earlier_driver)
{
    AUTO_STR struct str first = {0}, second = {0}, third = {0};
    struct render_majors majors, again;
    CHECK(render_devices(host, "550.54.15", &first, &majors));
    CHECK(render_devices(first.text, "550.54.15", &second, &again));
    CHECK_STR(first.text, second.text);
    CHECK_INT(majors.caps, ==, again.caps);
    CHECK(render_devices(first.text, "535.104.05", &third, &again));
    CHECK(strstr(third.text, "195 nvidia-frontend\n"));
    CHECK(!strstr(third.text, "nvidiactl"));
    CHECK(!render_devices("Block devices:\n", "550.54.15", &third, &again));
}

TEST(minors)
{
    AUTO_STR struct str text = {0};
    unsigned lines = 0;
    render_minors(&text);
    for (const char *at = text.text; *at; at++)
        lines += *at == '\n';
    CHECK_INT(lines, ==, 2 + 32 * 15 * 9);
    CHECK(strstr(text.text, "config 1\nmonitor 2\ngpu0/gi0/access 3\n") == text.text);
    CHECK(strstr(text.text, "\ngpu0/gi2/access 21\n"));
    CHECK(strstr(text.text, "\ngpu0/gi2/ci0/access 22\n"));
    CHECK(strstr(text.text, "\ngpu31/gi14/ci7/access 4322\n"));
}

TEST(pci)
{
    uint8_t config[RENDER_PCI_CONFIG];
    render_pci_config(board_find("a100-80"), config);
    CHECK(memcmp(config, "\xde\x10\xb2\x20", 4) == 0 && config[0x0b] == 3 && config[0x0a] == 2);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st, (void)kind, (void)where;
    return remove(path);
}

static bool is_node(const char *dir, const char *name, unsigned mode, unsigned minor)
{
    char path[128];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/dev/%s", dir, name);
    return lstat(path, &st) == 0 && S_ISCHR(st.st_mode) && (st.st_mode & 07777) == mode &&
           minor(st.st_rdev) == minor;
}

static bool is_there(const char *dir, const char *name)
{
    char path[160];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

TEST(follows)
{
    char dir[] = "/tmp/fetta-test-files.XXXXXX";
    AUTO_FREE struct machine *m = calloc(1, sizeof *m);
    struct tree *t = NULL;
    struct error err = {0};
    if (geteuid() != 0)
        SKIP("device nodes take root");
    REQUIRE(m && mkdtemp(dir));
    CHECK(machine_parse("2xa100-80", m, &err) == 0);
    int r = tree_new(dir, m, &t, &err);
    if (r == -ERROR_NO_PERMISSION) {
        (void)nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
        SKIP("this root may not make device nodes");
    }
    CHECK_INT(r, ==, 0);
    REQUIRE(t);
    CHECK(is_node(dir, "nvidia0", 0666, 0) && is_node(dir, "nvidia1", 0666, 1));
    CHECK(is_node(dir, "nvidia-caps/nvidia-cap1", 0400, 1));
    CHECK(is_there(dir, "dev/char/195:1"));
    CHECK(!is_there(dir, "dev/nvidia2") && !is_there(dir, "dev/nvidia-caps/nvidia-cap21"));

    m->gpus[0].gi_n = 1;
    m->gpus[0].gis[0] = (struct machine_gi){.id = 2, .ci_n = 1};
    CHECK(tree_follow(t, m, &err) == 0);
    CHECK(is_node(dir, "nvidia-caps/nvidia-cap21", 0444, 21));
    CHECK(is_node(dir, "nvidia-caps/nvidia-cap22", 0444, 22));
    CHECK(is_there(dir, "driver/nvidia/capabilities/gpu0/mig/gi2/ci0/access"));

    /* The driver was killed and begins anew: nothing stays of the old machine. */
    t = tree_free(t);
    m->gpus[0].gi_n = 0;
    m->gpus[1].minor = 3;
    CHECK(tree_new(dir, m, &t, &err) == 0);
    CHECK(!is_there(dir, "dev/nvidia-caps/nvidia-cap21"));
    CHECK(!is_there(dir, "driver/nvidia/capabilities/gpu0/mig/gi2"));
    CHECK(is_there(dir, "driver/nvidia/capabilities/gpu0/mig"));
    CHECK(!is_there(dir, "dev/nvidia1") && is_node(dir, "nvidia3", 0666, 3));
    t = tree_free(t);
    (void)nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

TAP_MAIN
