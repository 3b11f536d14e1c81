/* What a GPU is doing: utilisation and power.
 *
 * A GPU in MIG mode, and a MIG device, have no utilisation on real ones. The engines for video have
 * nothing to do here. Memory counts as busy while work runs. Power is modelled: a measured idle
 * value, and from there in proportion to the work up to the board's limit. */
#include "emud/calls.h"

#include "base/time.h"
#include "emul/box_work.h"

enum { SAMPLING_US = 200000 }; /* the period of video engines' samples, assumed: 1/5 s */
enum { WORKERS = 192 };        /* most processes with work that are told of */

/* Thousandths of the last second in which something computed. */
static unsigned busy_ppt(const struct ask *k)
{
    return box_work_busy(k->box, k->at.gpu, time_boot());
}

static unsigned percent(unsigned ppt)
{
    return (MIN(ppt, 1000) + 5) / 10;
}

unsigned calls_power_mw(const struct ask *k)
{
    const struct physical *p = calls_physical(k);
    unsigned idle = p->watt_idle * 1000u, limit = MAX(p->watt_default * 1000u, idle);
    return idle ? idle + (unsigned)((uint64_t)(limit - idle) * busy_ppt(k) / 1000) : 0;
}

int emud_nvmlDeviceGetPowerUsage(struct ask *k)
{
    return calls_fact(k, calls_power_mw(k));
}

int emud_nvmlDeviceGetUtilizationRates(struct ask *k)
{
    if (calls_is_mig(k) || calls_mig_mode(k))
        return NVML_ERROR_NOT_SUPPORTED;
    unsigned busy = percent(busy_ppt(k));
    (void)answer_number(k, busy);
    return answer_number(k, busy);
}

/* One sample for each process with work, if it is newer than what the caller has seen. */
int emud_nvmlDeviceGetProcessUtilization(struct ask *k)
{
    struct box_worker found[WORKERS];
    unsigned long long now = (unsigned long long)(time_wall() / TIME_US);
    if (calls_is_mig(k) || calls_mig_mode(k))
        return NVML_ERROR_NOT_SUPPORTED;
    unsigned n = box_work_others(k->box, k->at.gpu, NULL, time_boot(), found, WORKERS);
    n = k->request->arg[3] < now ? MIN(n, WORKERS) : 0;
    k->answer->head.count = n;
    if (n == 0)
        return NVML_ERROR_NOT_FOUND;
    if (calls_arg(k, 2) < n)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < n; i++) {
        unsigned busy = percent(found[i].busy_ppt);
        nvmlProcessUtilizationSample_t sample = {
            .pid = found[i].pid, .timeStamp = now, .smUtil = busy, .memUtil = busy};
        (void)answer_put(k, &sample, sizeof sample);
    }
    return NVML_SUCCESS;
}

/* An engine nothing uses: 0 per cent, and how often that is looked at. */
static int idle_engine(struct ask *k)
{
    if (calls_is_mig(k) || calls_mig_mode(k))
        return NVML_ERROR_NOT_SUPPORTED;
    (void)answer_number(k, 0);
    return answer_number(k, SAMPLING_US);
}

int emud_nvmlDeviceGetEncoderUtilization(struct ask *k)
{
    return idle_engine(k);
}

int emud_nvmlDeviceGetDecoderUtilization(struct ask *k)
{
    return idle_engine(k);
}

int emud_nvmlDeviceGetJpgUtilization(struct ask *k)
{
    return idle_engine(k);
}

int emud_nvmlDeviceGetOfaUtilization(struct ask *k)
{
    return idle_engine(k);
}
