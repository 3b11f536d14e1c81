/* A device that logs every operation of another at debug level: what, how long, with what end. */
#pragma once

#include "device/device.h"

/* Wraps `inner` and owns it once it succeeded. */
int trace_new(struct device *inner, struct device **ret, struct error *err);
