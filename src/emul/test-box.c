#include "tests/tap.h"
TAP_MAIN
