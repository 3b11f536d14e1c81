/* The page shared with clients: a sealed memory file, of which they get a descriptor to read.
 *
 * How does a client learn that the driver was killed, when it does not ask? The page holds a word
 * that is on the driver's list of robust futexes, as a lock that it holds: the kernel marks it when
 * its owner ends, whatever the end. */
#include "emud/page.h"

#include "base/fd.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Tells the kernel to mark the word when this process, of one thread, ends. */
static int leave_word(struct page *p, struct emu_page *shared)
{
    shared->owner = (uint32_t)getpid();
    p->entry.next = &p->head.list;
    p->head.list.next = &p->entry;
    p->head.futex_offset = (char *)&shared->owner - (char *)&p->entry;
    return (int)syscall(SYS_set_robust_list, &p->head, sizeof p->head);
}

/* The writable mapping is this one: a seal keeps anybody else from making another. */
static struct emu_page *map(struct page *p, int fd)
{
    if (ftruncate(fd, sizeof(struct emu_page)) < 0)
        return NULL;
    void *shared =
        mmap(NULL, sizeof(struct emu_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shared == MAP_FAILED)
        return NULL;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) ==
            0 &&
        leave_word(p, shared) == 0)
        return shared;
    (void)munmap(shared, sizeof(struct emu_page));
    return NULL;
}

void page_open(struct page *p)
{
    char path[40];
    *p = (struct page){.fd = -1};
    AUTO_FD int fd = memfd_create("fetta-emud", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return;
    p->shared = map(p, fd);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (p->shared)
        p->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (p->shared && p->fd < 0) {
        (void)munmap(p->shared, sizeof *p->shared);
        p->shared = NULL;
    }
    page_bump(p);
}

/* The mapping stays for clients that look at it until we have ended. */
void page_close(struct page *p)
{
    if (p->shared)
        __atomic_or_fetch(&p->shared->owner, EMU_PAGE_DEAD, __ATOMIC_RELEASE);
    (void)syscall(SYS_set_robust_list, NULL, sizeof p->head);
    p->fd = fd_close(p->fd);
}

void page_bump(struct page *p)
{
    if (!p->shared)
        return;
    uint32_t next = p->shared->generation + 1;
    __atomic_store_n(&p->shared->generation, next ? next : 1, __ATOMIC_RELEASE);
}

uint32_t page_number(const struct page *p)
{
    return p->shared ? p->shared->generation : 0;
}

ssize_t page_send(const struct page *p, int fd, const void *data, size_t size)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec part = {(void *)(uintptr_t)data, size};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    if (p->fd >= 0) {
        m.msg_control = control;
        m.msg_controllen = sizeof control;
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &p->fd, sizeof(int));
    }
    return sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}
