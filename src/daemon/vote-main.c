/* fetta-vote: plays recorded requests again under every rule of placement, for a fettad that
 * decides what to make of it.
 *
 * A process of its own, so that seconds of computing neither hold up the loop nor stay in the
 * daemon's memory, and so that whatever goes wrong in it has no effect: it runs only when nothing
 * else wants the CPU, within limits of memory and time, and ends with the daemon. */
#include "daemon/vote_frame.h"

#include "base/fd.h"
#include "base/macro.h"

#include <fcntl.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CPU_S = 120 };

/* The sanitizers keep terabytes of address space, of which they use little. */
#if defined(__has_feature)
#define SANITIZED __has_feature(address_sanitizer)
#elif defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif
#define MEMORY (SANITIZED ? RLIM_INFINITY : UINT64_C(512) << 20)

/* What is not permitted here is left as it is: the nice value alone does most of it. */
static void step_back(void)
{
    struct sched_param none = {0};
    struct error ignored;
    AUTO_FD int first_to_go = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    struct rlimit memory = {MEMORY, MEMORY}, cpu = {CPU_S, CPU_S}, core = {0, 0};
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)setpriority(PRIO_PROCESS, 0, 19);
    (void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
    (void)setrlimit(RLIMIT_AS, &memory);
    (void)setrlimit(RLIMIT_CPU, &cpu);
    (void)setrlimit(RLIMIT_CORE, &core);
    if (first_to_go >= 0)
        (void)fd_write_all(first_to_go, "1000", 4, &ignored);
    (void)sched_setscheduler(0, SCHED_IDLE, &none); /* last: who sees it has seen all of it */
}

static int read_paper(struct vote_paper *p, struct vote_job **ret, struct error *err)
{
    int r = fd_read_all(STDIN_FILENO, p, sizeof *p, err);
    if (r == 0 && (p->mark != VOTE_MARK || p->question.job_n > VOTE_JOBS))
        r = error_set(err, ERROR_INVALID,
                      "fettad and fetta-vote are not of one build; restart fettad");
    if (r < 0)
        return r;
    *ret = calloc(MAX(p->question.job_n, 1u), sizeof **ret);
    if (!*ret)
        return error_set(err, ERROR_NO_MEMORY, "no memory for a vote");
    return fd_read_all(STDIN_FILENO, *ret, p->question.job_n * sizeof **ret, err);
}

int main(int argc, char **argv)
{
    struct vote_answer answer = {.mark = VOTE_MARK};
    struct error err = {0};
    AUTO_FREE struct vote_paper *p = calloc(1, sizeof *p);
    AUTO_FREE struct vote_job *jobs = NULL;
    if (argc > 1 || isatty(STDIN_FILENO)) {
        (void)fprintf(stderr, "%s: started by fettad alone; see fettad(8)\n", argv[0]);
        return 2;
    }
    step_back();
    answer.code =
        p ? read_paper(p, &jobs, &err) : error_set(&err, ERROR_NO_MEMORY, "no memory for a vote");
    if (answer.code == 0)
        answer.code = vote_hold(&p->question, jobs, &answer.result, &err);
    if (answer.code < 0)
        memcpy(answer.text, err.text, sizeof answer.text);
    return fd_write_all(STDOUT_FILENO, &answer, sizeof answer, &err) < 0;
}
