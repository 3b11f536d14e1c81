/* Clocks and power: figures of the board, and what an administrator set.
 *
 * Nothing here makes anything slower: a locked clock or a power limit is remembered and told again.
 * Power drawn is modelled from a measured idle value and what works. */
#include "emud/calls.h"

#include "base/time.h"

enum { CLOCK_GRAPHICS, CLOCK_SM, CLOCK_MEMORY, CLOCK_VIDEO, CLOCKS };
enum { CLOCK_ID_CURRENT, CLOCK_ID_APP, CLOCK_ID_APP_DEFAULT, CLOCK_ID_BOOST_MAX, CLOCK_IDS };
enum { POLICY_LAST = 11 }; /* of NVML's performance policies */
enum { CLOCK_STEP = 15 };  /* of supported graphics clocks, as all listings show */

static bool is_working(const struct ask *k)
{
    return box_processes(k->box, k->at.gpu, BOX_ANY, BOX_ANY, NULL, 0) > 0;
}

static unsigned max_clock(const struct physical *p, unsigned type)
{
    const unsigned clocks[] = {p->mhz_sm_max, p->mhz_sm_max, p->mhz_memory, p->mhz_video_max};
    return clocks[type];
}

static unsigned application_clock(const struct ask *k, unsigned type)
{
    const struct physical *p = calls_physical(k);
    const struct box_state *s = calls_state(k);
    if (p->mhz_sm_application == 0)
        return 0;
    switch (type) {
    case CLOCK_GRAPHICS:
    case CLOCK_SM:
        return s->app_sm ? s->app_sm : p->mhz_sm_application;
    case CLOCK_MEMORY:
        return s->app_memory ? s->app_memory : p->mhz_memory;
    default: /* a number from outside, not an enum */
        return 0;
    }
}

/* Idle boards clock down to a known value; working ones run as fast as they are allowed to. The
 * memory of boards with HBM has one clock. */
static unsigned current_clock(const struct ask *k, unsigned type)
{
    const struct physical *p = calls_physical(k);
    const struct box_state *s = calls_state(k);
    bool works = is_working(k);
    unsigned clock = max_clock(p, type);
    if (type == CLOCK_MEMORY || clock == 0)
        return clock;
    if (type == CLOCK_VIDEO)
        return works ? clock : p->mhz_video_idle;
    if (s->lock_max)
        return works ? MIN(s->lock_max, clock) : MAX(s->lock_min, p->mhz_sm_idle);
    return works ? MAX(application_clock(k, type), s->app_sm ? 0 : clock) : p->mhz_sm_idle;
}

int emud_nvmlDeviceGetClockInfo(struct ask *k)
{
    if (calls_arg(k, 1) >= CLOCKS)
        return NVML_ERROR_INVALID_ARGUMENT;
    return calls_fact(k, current_clock(k, calls_arg(k, 1)));
}

int emud_nvmlDeviceGetMaxClockInfo(struct ask *k)
{
    if (calls_arg(k, 1) >= CLOCKS)
        return NVML_ERROR_INVALID_ARGUMENT;
    return calls_fact(k, max_clock(calls_physical(k), calls_arg(k, 1)));
}

/* All published listings have it equal to the highest graphics clock. */
int emud_nvmlDeviceGetMaxCustomerBoostClock(struct ask *k)
{
    if (calls_arg(k, 1) >= CLOCKS)
        return NVML_ERROR_INVALID_ARGUMENT;
    return calls_fact(k, calls_arg(k, 1) == CLOCK_GRAPHICS ? calls_physical(k)->mhz_sm_max : 0);
}

int emud_nvmlDeviceGetApplicationsClock(struct ask *k)
{
    if (calls_arg(k, 1) >= CLOCKS)
        return NVML_ERROR_INVALID_ARGUMENT;
    return calls_fact(k, application_clock(k, calls_arg(k, 1)));
}

static unsigned default_application_clock(const struct physical *p, unsigned type)
{
    if (p->mhz_sm_application == 0 || type == CLOCK_VIDEO)
        return 0;
    return type == CLOCK_MEMORY ? p->mhz_memory : p->mhz_sm_application;
}

int emud_nvmlDeviceGetDefaultApplicationsClock(struct ask *k)
{
    if (calls_arg(k, 1) >= CLOCKS)
        return NVML_ERROR_INVALID_ARGUMENT;
    return calls_fact(k, default_application_clock(calls_physical(k), calls_arg(k, 1)));
}

int emud_nvmlDeviceGetClock(struct ask *k)
{
    unsigned type = calls_arg(k, 1);
    if (type >= CLOCKS || calls_arg(k, 2) >= CLOCK_IDS)
        return NVML_ERROR_INVALID_ARGUMENT;
    switch (calls_arg(k, 2)) {
    case CLOCK_ID_CURRENT:
        return calls_fact(k, current_clock(k, type));
    case CLOCK_ID_APP:
        return calls_fact(k, application_clock(k, type));
    case CLOCK_ID_APP_DEFAULT:
        return calls_fact(k, default_application_clock(calls_physical(k), type));
    default: /* CLOCK_ID_BOOST_MAX */
        return calls_fact(k, type == CLOCK_GRAPHICS ? calls_physical(k)->mhz_sm_max : 0);
    }
}

/* Lists numbers from `from` down to `to` if the caller has room for all of them. */
static int list_clocks(struct ask *k, unsigned room, unsigned from, unsigned to)
{
    k->answer->head.count = (from - to) / CLOCK_STEP + 1;
    if (room < k->answer->head.count)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    for (unsigned clock = from; clock >= to && clock > 0; clock -= MIN(clock, CLOCK_STEP))
        (void)answer_number(k, clock);
    return NVML_SUCCESS;
}

int emud_nvmlDeviceGetSupportedMemoryClocks(struct ask *k)
{
    unsigned clock = calls_physical(k)->mhz_memory;
    if (calls_is_mig(k) || clock == 0 || calls_physical(k)->mhz_sm_min == 0)
        return NVML_ERROR_NOT_SUPPORTED;
    return list_clocks(k, calls_arg(k, 1), clock, clock);
}

int emud_nvmlDeviceGetSupportedGraphicsClocks(struct ask *k)
{
    const struct physical *p = calls_physical(k);
    if (calls_is_mig(k) || p->mhz_sm_min == 0)
        return NVML_ERROR_NOT_SUPPORTED;
    if (calls_arg(k, 1) != p->mhz_memory)
        return NVML_ERROR_NOT_FOUND;
    return list_clocks(k, calls_arg(k, 2), p->mhz_sm_max, p->mhz_sm_min);
}

static bool is_graphics_clock(const struct physical *p, unsigned clock)
{
    return clock >= p->mhz_sm_min && clock <= p->mhz_sm_max &&
           (p->mhz_sm_max - clock) % CLOCK_STEP == 0;
}

int emud_nvmlDeviceSetApplicationsClocks(struct ask *k)
{
    const struct physical *p = calls_physical(k);
    if (calls_is_mig(k) || p->mhz_sm_application == 0 || p->mhz_sm_min == 0)
        return NVML_ERROR_NOT_SUPPORTED;
    if (calls_arg(k, 1) != p->mhz_memory || !is_graphics_clock(p, calls_arg(k, 2)))
        return NVML_ERROR_INVALID_ARGUMENT;
    calls_state(k)->app_memory = calls_arg(k, 1);
    calls_state(k)->app_sm = calls_arg(k, 2);
    return NVML_SUCCESS;
}

int emud_nvmlDeviceResetApplicationsClocks(struct ask *k)
{
    if (calls_is_mig(k) || calls_physical(k)->mhz_sm_application == 0)
        return NVML_ERROR_NOT_SUPPORTED;
    calls_state(k)->app_sm = calls_state(k)->app_memory = 0;
    return NVML_SUCCESS;
}

/* A driver rounds a locked clock to one it can make; here it is kept within what the board has. */
int emud_nvmlDeviceSetGpuLockedClocks(struct ask *k)
{
    const struct physical *p = calls_physical(k);
    if (calls_is_mig(k) || p->mhz_sm_min == 0)
        return NVML_ERROR_NOT_SUPPORTED;
    if (calls_arg(k, 1) > calls_arg(k, 2))
        return NVML_ERROR_INVALID_ARGUMENT;
    calls_state(k)->lock_min = MAX(calls_arg(k, 1), p->mhz_sm_min);
    calls_state(k)->lock_max = MIN(MAX(calls_arg(k, 2), p->mhz_sm_min), p->mhz_sm_max);
    return NVML_SUCCESS;
}

int emud_nvmlDeviceResetGpuLockedClocks(struct ask *k)
{
    if (calls_is_mig(k) || calls_physical(k)->mhz_sm_min == 0)
        return NVML_ERROR_NOT_SUPPORTED;
    calls_state(k)->lock_min = calls_state(k)->lock_max = 0;
    return NVML_SUCCESS;
}

int emud_nvmlDeviceSetMemoryLockedClocks(struct ask *k)
{
    if (calls_is_mig(k) || calls_physical(k)->mhz_memory == 0)
        return NVML_ERROR_NOT_SUPPORTED;
    if (calls_arg(k, 1) > calls_arg(k, 2))
        return NVML_ERROR_INVALID_ARGUMENT;
    calls_state(k)->lock_memory_min = calls_arg(k, 1);
    calls_state(k)->lock_memory_max = calls_arg(k, 2);
    return NVML_SUCCESS;
}

int emud_nvmlDeviceResetMemoryLockedClocks(struct ask *k)
{
    if (calls_is_mig(k) || calls_physical(k)->mhz_memory == 0)
        return NVML_ERROR_NOT_SUPPORTED;
    calls_state(k)->lock_memory_min = calls_state(k)->lock_memory_max = 0;
    return NVML_SUCCESS;
}

/* Datacenter boards stay in P0 even when idle, as all published listings of them show. */
int emud_nvmlDeviceGetPerformanceState(struct ask *k)
{
    return calls_of_gpu(k, 0);
}

int emud_nvmlDeviceGetPowerState(struct ask *k)
{
    return calls_of_gpu(k, 0);
}

enum { REASON_IDLE = 1, REASON_APPLICATIONS = 2, REASONS_ALL = 0x1ff };

/* Idle, or held by applications clocks somebody set; nothing else slows an emulated GPU down. */
int emud_nvmlDeviceGetCurrentClocksThrottleReasons(struct ask *k)
{
    if (calls_is_mig(k))
        return NVML_ERROR_NOT_SUPPORTED;
    unsigned set = calls_state(k)->app_sm ? REASON_APPLICATIONS : 0;
    return calls_long(k, is_working(k) ? set : REASON_IDLE);
}

int emud_nvmlDeviceGetSupportedClocksThrottleReasons(struct ask *k)
{
    return calls_is_mig(k) ? (int)NVML_ERROR_NOT_SUPPORTED : calls_long(k, REASONS_ALL);
}

/* How long something kept the clocks down: never. */
int emud_nvmlDeviceGetViolationStatus(struct ask *k)
{
    if (calls_arg(k, 1) > POLICY_LAST)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (calls_is_mig(k))
        return NVML_ERROR_NOT_SUPPORTED;
    (void)calls_long(k, (unsigned long long)(time_wall() / TIME_US));
    return calls_long(k, 0);
}

int emud_nvmlDeviceGetPowerManagementMode(struct ask *k)
{
    return calls_physical(k)->watt_max ? calls_of_gpu(k, NVML_FEATURE_ENABLED)
                                       : (int)NVML_ERROR_NOT_SUPPORTED;
}

static unsigned power_limit(const struct ask *k)
{
    unsigned set = calls_state(k)->power_mw;
    return set ? set : calls_physical(k)->watt_default * 1000u;
}

int emud_nvmlDeviceGetPowerManagementLimit(struct ask *k)
{
    return calls_fact(k, power_limit(k));
}

int emud_nvmlDeviceGetEnforcedPowerLimit(struct ask *k)
{
    return calls_fact(k, power_limit(k));
}

int emud_nvmlDeviceGetPowerManagementDefaultLimit(struct ask *k)
{
    return calls_fact(k, calls_physical(k)->watt_default * 1000u);
}

int emud_nvmlDeviceGetPowerManagementLimitConstraints(struct ask *k)
{
    const struct physical *p = calls_physical(k);
    if (calls_is_mig(k) || p->watt_min == 0)
        return NVML_ERROR_NOT_SUPPORTED;
    (void)answer_number(k, p->watt_min * 1000u);
    return answer_number(k, p->watt_max * 1000u);
}

int emud_nvmlDeviceSetPowerManagementLimit(struct ask *k)
{
    const struct physical *p = calls_physical(k);
    unsigned wanted = calls_arg(k, 1);
    if (calls_is_mig(k) || p->watt_min == 0)
        return NVML_ERROR_NOT_SUPPORTED;
    if (wanted < p->watt_min * 1000u || wanted > p->watt_max * 1000u)
        return NVML_ERROR_INVALID_ARGUMENT;
    calls_state(k)->power_mw = wanted;
    return NVML_SUCCESS;
}
