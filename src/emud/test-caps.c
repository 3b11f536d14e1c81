/* An ordinary user may partition exactly where the node of mig/config is readable for him, and only
 * if it is that node: in a mount namespace with a /dev of its own. Needs root, skips otherwise. */
#include "emud/caps.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOBODY = 65534, OWNER = 4711, GROUP = 4712 };

#define NODE "/dev/nvidia-caps/nvidia-cap1"

struct attempt {
    const char *what;
    mode_t type, mode;
    unsigned major_number, minor_number;
    gid_t group, extra; /* of the client */
    uid_t uid;
    bool allowed;
};

static const struct attempt attempts[] = {
    {"readable for all", S_IFCHR, 0444, 240, 1, NOBODY, NOBODY, NOBODY, true},
    {"readable for root alone", S_IFCHR, 0400, 240, 1, NOBODY, NOBODY, NOBODY, false},
    {"readable for its owner", S_IFCHR, 0400, 240, 1, NOBODY, NOBODY, OWNER, true},
    {"not for its owner", S_IFCHR, 0044, 240, 1, NOBODY, NOBODY, OWNER, false},
    {"readable for a group", S_IFCHR, 0440, 240, 1, GROUP, GROUP, NOBODY, true},
    {"for one more group", S_IFCHR, 0440, 511, 1, NOBODY, GROUP, NOBODY, true},
    {"for a group that is not the user's", S_IFCHR, 0440, 240, 1, NOBODY, NOBODY, NOBODY, false},
    {"mig/monitor under that name", S_IFCHR, 0444, 240, 2, NOBODY, NOBODY, NOBODY, false},
    {"a terminal under that name", S_IFCHR, 0444, 4, 1, NOBODY, NOBODY, NOBODY, false},
    {"a file under that name", S_IFREG, 0444, 0, 0, NOBODY, NOBODY, NOBODY, false},
};

/* Makes the node in a /dev of this process's own. */
static bool make_node(const struct attempt *a)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", "/dev", "tmpfs", 0, NULL) < 0 || mkdir("/dev/nvidia-caps", 0755) < 0)
        return false;
    return mknod(NODE, a->type | 0600, makedev(a->major_number, a->minor_number)) == 0 &&
           chown(NODE, a->uid == OWNER ? OWNER : 0, GROUP) == 0 && chmod(NODE, a->mode) == 0;
}

/* The client: connects as its user and stays until it is let go. */
static void be_client(const struct attempt *a, const struct sockaddr_un *where, int go)
{
    char byte;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    if (!make_node(a) || fd < 0 || setgroups(1, &a->extra) < 0 || setgid(a->group) < 0 ||
        setuid(a->uid) < 0 || connect(fd, (const struct sockaddr *)where, sizeof *where) < 0)
        _exit(1);
    _exit(read(go, &byte, 1) < 0);
}

static void check_attempt(const struct attempt *a)
{
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    int go[2], status = 0;
    int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    (void)snprintf(where.sun_path + 1, sizeof where.sun_path - 1, "fetta-caps-%d", (int)getpid());
    REQUIRE(listener >= 0 && pipe(go) == 0);
    REQUIRE(bind(listener, (const struct sockaddr *)&where, sizeof where) == 0 &&
            listen(listener, 1) == 0);
    (void)fcntl(listener, F_SETFL, O_NONBLOCK);
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(go[1]);
        be_client(a, &where, go[0]);
    }
    int fd = -1;
    while ((fd = accept(listener, NULL, NULL)) < 0 && waitpid(pid, &status, WNOHANG) == 0)
        (void)usleep(1000);
    if (fd < 0)
        TAP_FAIL("%s: the client did not come", a->what);
    else if (caps_may_configure(fd) != a->allowed)
        TAP_FAIL("%s: wanted %d", a->what, a->allowed);
    (void)close(go[0]);
    (void)close(go[1]);
    (void)close(fd);
    (void)close(listener);
    (void)waitpid(pid, &status, 0);
}

TEST(the_mode_of_the_node_decides)
{
    if (geteuid() != 0)
        SKIP("needs root to make device nodes");
    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++)
        check_attempt(&attempts[i]);
}

TEST(a_socket_without_a_peer_is_nobody)
{
    CHECK(!caps_may_configure(-1));
}

TAP_MAIN
