/* A short list: as many notes as live leases. */
#include "daemon/note.h"

#include "base/log.h"
#include "base/str.h"
#include "daemon/turn.h"

#include <stdlib.h>
#include <string.h>

enum { LEFT_MAX = 2000 }; /* bytes of names kept of what a lease left behind */

static const struct note nothing = {.asked_for = "", .command = ""};

static struct note *keep(struct daemon *d, uint32_t lease, const char *asked_for,
                         const char *command)
{
    size_t asked_size = strlen(asked_for) + 1, command_size = strlen(command) + 1;
    struct note *n = malloc(sizeof *n + asked_size + command_size);
    if (!n)
        return NULL;
    *n = (struct note){.lease = lease, .asked_for = n->text, .command = n->text + asked_size};
    memcpy(n->text, asked_for, asked_size);
    memcpy(n->text + asked_size, command, command_size);
    n->next = d->notes.first;
    d->notes.first = n;
    return n;
}

int notes_add(struct daemon *d, uint32_t lease, const char *asked_for, const char *command,
              const char *door, struct error *err)
{
    struct store_text text = {
        .lease = lease, .command = command, .place = door, .profile = asked_for};
    int r = turn_open(d, err);
    if (r == 0)
        r = store_set_text(d->store, &text, err);
    if (r == 0 && !keep(d, lease, asked_for, command))
        return error_set(err, ERROR_NO_MEMORY, "out of memory keeping a lease's text");
    return r;
}

static int from_store(const struct store_past *p, void *arg)
{
    struct daemon *d = arg;
    (void)keep(d, p->lease.id, p->profile ? p->profile : "", p->command ? p->command : "");
    return 0;
}

static const struct note *look_up(const struct daemon *d, uint32_t lease)
{
    for (const struct note *n = d->notes.first; n; n = n->next)
        if (n->lease == lease)
            return n;
    return NULL;
}

const struct note *notes_get(struct daemon *d, uint32_t lease)
{
    struct error ignored;
    const struct note *n = look_up(d, lease);
    if (!n && store_history(d->store, lease, NULL, 1, from_store, d, &ignored) == 0)
        n = look_up(d, lease);
    return n ? n : &nothing;
}

void notes_drop(struct daemon *d, uint32_t lease)
{
    for (struct note **at = &d->notes.first; *at; at = &(*at)->next) {
        struct note *n = *at;
        if (n->lease != lease)
            continue;
        *at = n->next;
        free(n);
        return;
    }
}

void notes_done(struct daemon *d)
{
    while (d->notes.first)
        notes_drop(d, d->notes.first->lease);
}

void notes_left(struct daemon *d, uint32_t lease, const struct proc_list *list)
{
    AUTO_STR struct str lines = {0};
    char name[PROC_NAME];
    struct error err;
    for (size_t i = 0; i < list->n && lines.len < LEFT_MAX; i++)
        str_addf(&lines, "%d %s\n", list->ids[i].pid, proc_name(list->ids[i].pid, name));
    if (!lines.text)
        return;
    log_info("lease %u left behind, ended now: %s", lease, lines.text);
    if (turn_open(d, &err) < 0 || store_set_left(d->store, lease, lines.text, &err) < 0)
        log_warn("%s", err.text);
}
