/* What a GPU is doing: utilisation and power.
 *
 * A GPU in MIG mode, and a MIG device, have no utilisation on real ones. The engines for video have
 * nothing to do here. Memory counts as busy while work runs. Power and heat are modelled: a
 * measured idle value, and from there in proportion to the work up to the board's limit. */
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

/* The same of the GPU's compute slices: a busy slice leaves the others idle. */
static unsigned load_ppt(const struct ask *k)
{
    struct box_worker found[WORKERS];
    unsigned of = calls_board(k)->compute_slices, sum = 0;
    if (!calls_mig_mode(k) || of == 0)
        return busy_ppt(k);
    unsigned n = box_work_others(k->box, k->at.gpu, NULL, time_boot(), found, WORKERS);
    for (unsigned i = 0; i < MIN(n, WORKERS); i++)
        sum += found[i].busy_ppt * found[i].compute / of;
    return MIN(sum, 1000);
}

unsigned calls_power_mw(const struct ask *k)
{
    const struct physical *p = calls_physical(k);
    unsigned idle = p->watt_idle * 1000u, set = calls_state(k)->power_mw;
    unsigned busy = (p->watt_busy ? p->watt_busy : p->watt_default) * 1000u;
    if (idle == 0)
        return 0;
    if (set)
        busy = MIN(busy, set);
    return idle + (unsigned)((uint64_t)(MAX(busy, idle) - idle) * load_ppt(k) / 1000);
}

/* Degrees that a board gets warmer by each watt, in thousandths: 18 C of the GPU and 7 C of its
 * memory for 559 W, as measured on an H100 and assumed of the others. */
enum { HEAT_GPU = 32, HEAT_MEMORY = 13 };

int calls_celsius(const struct ask *k, bool memory)
{
    const struct physical *p = calls_physical(k);
    int idle = memory ? p->c_memory_idle : p->c_idle;
    unsigned watts = (calls_power_mw(k) - MIN(p->watt_idle * 1000u, calls_power_mw(k))) / 1000;
    return idle > 0 ? idle + (int)(watts * (memory ? HEAT_MEMORY : HEAT_GPU) / 1000) : 0;
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
