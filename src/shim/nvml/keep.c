/* A small table of answers, each in the one place that its call and first arguments lead to. */
#include "shim/nvml/keep.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void keep_start(struct keep *k, int fd)
{
    keep_stop(k);
    k->era++;
    if (fd < 0)
        return;
    void *page = mmap(NULL, sizeof *k->page, PROT_READ, MAP_SHARED, fd, 0);
    k->page = page == MAP_FAILED ? NULL : page;
    (void)close(fd);
}

void keep_stop(struct keep *k)
{
    if (k->page)
        (void)munmap((void *)(uintptr_t)k->page, sizeof *k->page);
    k->page = NULL;
}

/* The generation that stands; 0 if the driver is dead. */
static uint32_t standing(const struct emu_page *page)
{
    uint32_t generation = __atomic_load_n(&page->generation, __ATOMIC_ACQUIRE);
    return __atomic_load_n(&page->owner, __ATOMIC_RELAXED) & EMU_PAGE_DEAD ? 0 : generation;
}

static unsigned place(const struct emu_request *q)
{
    uint64_t mixed = (q->arg[0] ^ q->arg[1] << 17 ^ q->call) * UINT64_C(0x9e3779b97f4a7c15);
    return mixed >> 32 & (KEEP_ENTRIES - 1);
}

int keep_find(const struct keep *k, const struct emu_request *q, struct frame *ret)
{
    if (!k->page)
        return 0;
    const struct keep_entry *e = &k->entries[place(q)];
    if (e->era != k->era || e->head.call != q->call ||
        e->head.generation != standing(k->page) || memcmp(e->arg, q->arg, sizeof e->arg) != 0)
        return 0;
    ret->head = e->head;
    memcpy(ret->data, e->data, e->head.size);
    return 1;
}

void keep_store(struct keep *k, const struct emu_request *q, const struct frame *f)
{
    struct keep_entry *e = &k->entries[place(q)];
    if (!k->page || f->head.generation == 0 || f->head.size > KEEP_DATA)
        return;
    e->era = k->era;
    e->head = f->head;
    memcpy(e->arg, q->arg, sizeof e->arg);
    memcpy(e->data, f->data, f->head.size);
}
