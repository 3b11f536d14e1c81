/* What fettad is to its workers: a program that becomes one when called with --worker. */
#include "device/worker.h"

#include <string.h>

int main(int argc, char **argv)
{
    return argc == 2 && strcmp(argv[1], "--worker") == 0 ? worker_main(WORKER_FD, NULL) : 2;
}
