/* A device that fails or delays chosen operations of another one, for tests of everything above. */
#pragma once

#include "device/device.h"

enum fault_call { FAULT_OBSERVE, FAULT_OBSERVE_GPU, FAULT_APPLY, FAULT_PROCESSES, FAULT_WAIT };

/* Happens at the `nth` operation of its kind counted from 1, or at every one for 0. */
struct fault_rule {
    enum fault_call call;
    unsigned nth;
    enum error_code code; /* ERROR_OK: only the delay */
    bool after;           /* the operation is done first and its success then hidden */
    int delay_ms;
};

/* Wraps `inner` and owns it once it succeeded; copies the rules. */
int fault_new(struct device *inner, const struct fault_rule *rules, size_t n, struct device **ret,
              struct error *err);
