/* Reports and layouts are whole in memory before their file is opened, so that nothing is half
 * there because memory was short. */
#include "cli/save.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>

int save_text(const char *text, size_t size, const char *path, struct error *err)
{
    AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return error_errno(err, ERROR_IO, errno, "cannot write %s", path);
    return fd_write_all(fd, text, size, err) < 0 ? error_context(err, "%s", path) : 0;
}

int save_page(const struct str *page, const char *path, struct error *err)
{
    if (page->failed)
        return error_set(err, ERROR_NO_MEMORY, "no memory left for the report");
    return save_text(page->text, page->len, path, err);
}
