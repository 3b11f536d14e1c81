/* Following a clock in a file; see lease_clock.h. Its writer puts a new file in the place of the
 * old one at every jump, which the folder tells of. */
#include "daemon/lease_clock.h"

#include "daemon/turn.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/time.h"

#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

static int read_clock(struct lease_clock *c, struct error *err)
{
    AUTO_FREE char *text = NULL;
    struct clock fresh;
    int r = fd_read_file(c->path, CLOCK_TEXT, &text, NULL, err);
    if (r == 0)
        r = clock_read(text, &fresh, err);
    if (r == 0)
        c->clock = fresh;
    return r;
}

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Whether one of the happenings in the folder is about the clock. */
static bool is_about(int fd, const char *name)
{
    _Alignas(struct inotify_event) char buf[4096];
    bool about = false;
    ssize_t n = read(fd, buf, sizeof buf);
    for (ssize_t at = 0; at < n;) {
        const struct inotify_event *e = (const struct inotify_event *)(buf + at);
        about = about || (e->mask & IN_Q_OVERFLOW) || (e->len && strcmp(e->name, name) == 0);
        at += (ssize_t)(sizeof *e + e->len);
    }
    return about;
}

static int on_folder(sd_event_source *source, int fd, uint32_t events, void *arg)
{
    struct daemon *d = arg;
    struct error err;
    (void)source;
    (void)events;
    if (!is_about(fd, file_name(d->clock.path)))
        return 0;
    if (read_clock(&d->clock, &err) < 0) {
        log_warn("cannot follow the machine's clock: %s", err.text);
        return 0;
    }
    turn_post(d, &(struct event){.kind = EVENT_TICK});
    turn_touch(d); /* arms the timer anew even if nothing was due */
    return 0;
}

int lease_clock_init(struct daemon *d, const char *path, struct error *err)
{
    struct lease_clock *c = &d->clock;
    char folder[4096];
    *c = (struct lease_clock){.clock = {.kind = CLOCK_KIND_REAL, .factor = 1}, .watch = -1};
    if (!path)
        return 0;
    c->path = path;
    size_t n = (size_t)(file_name(path) - path);
    if (n >= sizeof folder)
        return error_set(err, ERROR_INVALID, "%s: the path is too long", path);
    memcpy(folder, path, n);
    memcpy(folder + n, ".", 2);
    c->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (c->watch < 0 || inotify_add_watch(c->watch, folder, IN_MOVED_TO) < 0)
        return error_errno(err, ERROR_IO, errno, "cannot watch %s", folder);
    int r = sd_event_add_io(d->loop, &c->source, c->watch, EPOLLIN, on_folder, d);
    if (r < 0)
        return error_errno(err, ERROR_IO, -r, "cannot watch %s", folder);
    return read_clock(c, err);
}

void lease_clock_done(struct daemon *d)
{
    d->clock.source = sd_event_source_unref(d->clock.source);
    d->clock.watch = fd_close(d->clock.watch);
}

int64_t lease_clock_now(const struct daemon *d)
{
    return clock_at(&d->clock.clock, time_boot());
}

int64_t lease_clock_boot(const struct daemon *d, int64_t due)
{
    int64_t now = time_boot(), at = clock_at(&d->clock.clock, now);
    if (due == TIME_NEVER)
        return TIME_NEVER;
    if (due < at) /* past: as long ago as it took to come here */
        return now - (at - due) / d->clock.clock.factor;
    return now + clock_until(&d->clock.clock, now, due);
}
