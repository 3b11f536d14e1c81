/* fetta-worker: speaks to the driver on behalf of fettad and does nothing else.
 *
 * A program of its own because there is one per GPU: linked with the device layer alone, it costs a
 * fraction of the memory that another fettad would. */
#include "base/fd.h"
#include "device/worker.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LARGE = 64 * 1024 }; /* bytes; what is larger goes back to the system when freed */

/* For `fetta emulate record`, which may not use the device layer itself: one look at the machine,
 * written to standard output. */
static int record(const char *library)
{
    struct machine_image *image = calloc(1, sizeof *image);
    struct device *d = NULL;
    struct error err = {0};
    int r = image ? device_open_mig(library, &d, &err)
                  : error_set(&err, ERROR_NO_MEMORY, "no memory left for a machine");
    if (r == 0)
        r = d->ops->observe(d, &image->machine, &err);
    if (r == 0) {
        machine_image_seal(image);
        r = fd_write_all(STDOUT_FILENO, image, sizeof *image, &err);
    }
    if (d)
        (void)d->ops->free(d);
    free(image);
    if (r < 0)
        (void)fprintf(stderr, "fetta-worker: %s\n", err.text);
    return r < 0 ? error_exit(err.code) : 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--record") == 0)
        return record(argc > 2 ? argv[2] : NULL);
    /* Said once, it stays: else glibc keeps the room of the first picture for the next one. */
    (void)mallopt(M_MMAP_THRESHOLD, LARGE);
    (void)mallopt(M_TRIM_THRESHOLD, LARGE);
    return worker_main(WORKER_FD, getenv(WORKER_ENV_NVML));
}
