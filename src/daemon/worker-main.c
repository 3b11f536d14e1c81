/* fetta-worker: speaks to the driver on behalf of fettad and does nothing else.
 *
 * A program of its own because there is one per GPU: linked with the device layer alone, it costs a
 * fraction of the memory that another fettad would. */
#include "device/worker.h"

#include <stdlib.h>

int main(void)
{
    return worker_main(WORKER_FD, getenv(WORKER_ENV_NVML));
}
