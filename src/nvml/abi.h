/* NVIDIA's public NVML ABI as far as fetta speaks it, declared by ourselves from public facts.
 *
 * The names are NVIDIA's because the ABI is. Nothing here needs nvml.h at build time; the sizes
 * below are those of a compiled nvml.h 12.4 on a 64-bit machine and are asserted, so that a slip in
 * a layout stops the build instead of corrupting a client. A struct with a `version` field is asked
 * for by setting version = sizeof | number << 24 (NVML_VERSION_WORD). */
#pragma once

#include <assert.h>
#include <stdint.h>

typedef enum {
#define RETURN(name, value, text) name = value,
#include "nvml/nvml_returns.def"
#undef RETURN
} nvmlReturn_t;

/* Opaque handles. Never null when valid; die with the thing they name. */
typedef struct nvmlDevice_st *nvmlDevice_t;
typedef struct nvmlGpuInstance_st *nvmlGpuInstance_t;
typedef struct nvmlComputeInstance_st *nvmlComputeInstance_t;
typedef struct nvmlEventSet_st *nvmlEventSet_t;

enum {
    NVML_DEVICE_UUID_V2_BUFFER_SIZE = 96,
    NVML_DEVICE_NAME_V2_BUFFER_SIZE = 96,
    NVML_DEVICE_PCI_BUS_ID_BUFFER_SIZE = 32,
    NVML_DEVICE_PCI_BUS_ID_BUFFER_V2_SIZE = 16,
    NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE = 80,
    NVML_SYSTEM_NVML_VERSION_BUFFER_SIZE = 80,

    NVML_INIT_FLAG_NO_GPUS = 1,
    NVML_INIT_FLAG_NO_ATTACH = 2,

    NVML_DEVICE_MIG_DISABLE = 0,
    NVML_DEVICE_MIG_ENABLE = 1,

    NVML_FEATURE_DISABLED = 0,
    NVML_FEATURE_ENABLED = 1,

    NVML_DEVICE_ARCH_AMPERE = 7,
    NVML_DEVICE_ARCH_ADA = 8,
    NVML_DEVICE_ARCH_HOPPER = 9,
    NVML_DEVICE_ARCH_BLACKWELL = 10,

    NVML_GPU_INSTANCE_PROFILE_COUNT = 0x12,
    NVML_COMPUTE_INSTANCE_PROFILE_COUNT = 9,
    NVML_COMPUTE_INSTANCE_ENGINE_PROFILE_SHARED = 0,
    NVML_COMPUTE_INSTANCE_ENGINE_PROFILE_COUNT = 1,

    NVML_GPU_INSTANCE_PROFILE_CAPS_P2P = 1,
    NVML_GPU_INSTANCE_PROFILE_CAPS_GFX = 2,
};

#define NVML_NO_INSTANCE 0xFFFFFFFFu /* gpuInstanceId of what runs on a GPU without MIG */

#define nvmlEventTypeXidCriticalError 0x8ull
#define nvmlEventMigConfigChange 0x100ull

#define NVML_VERSION_WORD(type, number) ((unsigned)(sizeof(type) | (number) << 24))

typedef struct {
    char busIdLegacy[NVML_DEVICE_PCI_BUS_ID_BUFFER_V2_SIZE];
    unsigned int domain, bus, device, pciDeviceId, pciSubSystemId;
    char busId[NVML_DEVICE_PCI_BUS_ID_BUFFER_SIZE];
} nvmlPciInfo_t;

/* What nvmlDeviceGetPciInfo_v2 writes. */
typedef struct {
    char busId[NVML_DEVICE_PCI_BUS_ID_BUFFER_V2_SIZE];
    unsigned int domain, bus, device, pciDeviceId, pciSubSystemId, reserved[4];
} nvmlPciInfo_v2_t;

/* What nvmlDeviceGetPciInfo wrote before there was a _v2: no subsystem. */
typedef struct {
    char busId[NVML_DEVICE_PCI_BUS_ID_BUFFER_V2_SIZE];
    unsigned int domain, bus, device, pciDeviceId;
} nvmlPciInfo_v1_t;

typedef struct {
    unsigned int version, domain, bus, device, pciDeviceId, pciSubSystemId, baseClass, subClass;
    char busId[NVML_DEVICE_PCI_BUS_ID_BUFFER_SIZE];
} nvmlPciInfoExt_v1_t;

typedef struct {
    nvmlPciInfo_t pciInfo;
    char uuid[80];
} nvmlExcludedDeviceInfo_t;

typedef struct {
    unsigned long long total, free, used;
} nvmlMemory_t; /* also of the BAR1 aperture */

typedef struct {
    unsigned int version;
    unsigned long long total, reserved, free, used;
} nvmlMemory_v2_t;

typedef struct {
    unsigned int gpu, memory;
} nvmlUtilization_t;

typedef struct {
    unsigned int pid;
    unsigned long long usedGpuMemory;
} nvmlProcessInfo_v1_t;

/* The layout of both the _v2 and the _v3 function. */
typedef struct {
    unsigned int pid;
    unsigned long long usedGpuMemory;
    unsigned int gpuInstanceId, computeInstanceId;
} nvmlProcessInfo_t;

typedef struct {
    unsigned int multiprocessorCount, sharedCopyEngineCount, sharedDecoderCount,
        sharedEncoderCount, sharedJpegCount, sharedOfaCount, gpuInstanceSliceCount,
        computeInstanceSliceCount;
    unsigned long long memorySizeMB;
} nvmlDeviceAttributes_t;

/* What nvmlDeviceGetAttributes wrote before there was a _v2: no memory. */
typedef struct {
    unsigned int multiprocessorCount, sharedCopyEngineCount, sharedDecoderCount,
        sharedEncoderCount, sharedJpegCount, sharedOfaCount, gpuInstanceSliceCount,
        computeInstanceSliceCount;
} nvmlDeviceAttributes_v1_t;

typedef struct {
    unsigned int start, size;
} nvmlGpuInstancePlacement_t;

typedef nvmlGpuInstancePlacement_t nvmlComputeInstancePlacement_t;

typedef struct {
    unsigned int id, isP2pSupported, sliceCount, instanceCount, multiprocessorCount,
        copyEngineCount, decoderCount, encoderCount, jpegCount, ofaCount;
    unsigned long long memorySizeMB;
} nvmlGpuInstanceProfileInfo_t;

typedef struct {
    unsigned int version, id, isP2pSupported, sliceCount, instanceCount, multiprocessorCount,
        copyEngineCount, decoderCount, encoderCount, jpegCount, ofaCount;
    unsigned long long memorySizeMB;
    char name[NVML_DEVICE_NAME_V2_BUFFER_SIZE];
} nvmlGpuInstanceProfileInfo_v2_t;

typedef struct {
    unsigned int version, id, sliceCount, instanceCount, multiprocessorCount, copyEngineCount,
        decoderCount, encoderCount, jpegCount, ofaCount;
    unsigned long long memorySizeMB;
    char name[NVML_DEVICE_NAME_V2_BUFFER_SIZE];
    unsigned int capabilities;
} nvmlGpuInstanceProfileInfo_v3_t;

typedef struct {
    unsigned int id, sliceCount, instanceCount, multiprocessorCount, sharedCopyEngineCount,
        sharedDecoderCount, sharedEncoderCount, sharedJpegCount, sharedOfaCount;
} nvmlComputeInstanceProfileInfo_t;

typedef struct {
    unsigned int version, id, sliceCount, instanceCount, multiprocessorCount,
        sharedCopyEngineCount, sharedDecoderCount, sharedEncoderCount, sharedJpegCount,
        sharedOfaCount;
    char name[NVML_DEVICE_NAME_V2_BUFFER_SIZE];
} nvmlComputeInstanceProfileInfo_v2_t;

typedef struct {
    unsigned int version, id, sliceCount, instanceCount, multiprocessorCount,
        sharedCopyEngineCount, sharedDecoderCount, sharedEncoderCount, sharedJpegCount,
        sharedOfaCount;
    char name[NVML_DEVICE_NAME_V2_BUFFER_SIZE];
    unsigned int capabilities;
} nvmlComputeInstanceProfileInfo_v3_t;

typedef struct {
    nvmlDevice_t device;
    unsigned int id, profileId;
    nvmlGpuInstancePlacement_t placement;
} nvmlGpuInstanceInfo_t;

typedef struct {
    nvmlDevice_t device;
    nvmlGpuInstance_t gpuInstance;
    unsigned int id, profileId;
    nvmlComputeInstancePlacement_t placement;
} nvmlComputeInstanceInfo_t;

typedef struct {
    nvmlDevice_t device;
    unsigned long long eventType, eventData;
    unsigned int gpuInstanceId, computeInstanceId;
} nvmlEventData_t;

/* What nvmlEventSetWait wrote before there was MIG. */
typedef struct {
    nvmlDevice_t device;
    unsigned long long eventType, eventData;
} nvmlEventData_v1_t;

/* Which member of nvmlValue_t holds a value. */
enum {
    NVML_VALUE_TYPE_DOUBLE = 0,
    NVML_VALUE_TYPE_UNSIGNED_INT = 1,
    NVML_VALUE_TYPE_UNSIGNED_LONG = 2,
    NVML_VALUE_TYPE_UNSIGNED_LONG_LONG = 3,
    NVML_VALUE_TYPE_SIGNED_LONG_LONG = 4,
    NVML_VALUE_TYPE_SIGNED_INT = 5,
};

typedef union {
    double dVal;
    int siVal;
    unsigned int uiVal;
    unsigned long ulVal;
    unsigned long long ullVal;
    signed long long sllVal;
} nvmlValue_t;

typedef struct {
    unsigned int fieldId, scopeId;
    long long timestamp, latencyUsec; /* microseconds since 1970, microseconds */
    unsigned int valueType;
    nvmlReturn_t nvmlReturn;
    nvmlValue_t value;
} nvmlFieldValue_t;

typedef struct {
    unsigned long long timeStamp; /* microseconds since 1970 */
    nvmlValue_t sampleValue;
} nvmlSample_t;

typedef struct {
    unsigned int pid;
    unsigned long long timeStamp; /* microseconds since 1970 */
    unsigned int smUtil, memUtil, encUtil, decUtil;
} nvmlProcessUtilizationSample_t;

typedef struct {
    unsigned int gpuUtilization, memoryUtilization;
    unsigned long long maxMemoryUsage, time, startTime;
    unsigned int isRunning, reserved[5];
} nvmlAccountingStats_t;

typedef struct {
    unsigned int sessionId, pid, vgpuInstance, codecType, hResolution, vResolution, averageFps,
        averageLatency;
} nvmlEncoderSessionInfo_t;

typedef struct {
    unsigned int sessionsCount, averageFPS, averageLatency;
} nvmlFBCStats_t;

typedef struct {
    unsigned int sessionId, pid, vgpuInstance, displayOrdinal, sessionType, sessionFlags,
        hMaxResolution, vMaxResolution, hResolution, vResolution, averageFPS, averageLatency;
} nvmlFBCSessionInfo_t;

typedef struct {
    unsigned long long l1Cache, l2Cache, deviceMemory, registerFile;
} nvmlEccErrorCounts_t;

typedef struct {
    unsigned int version;
    unsigned long long aggregateUncParity, aggregateUncSecDed, aggregateCor, volatileUncParity,
        volatileUncSecDed, volatileCor, aggregateUncBucketL2, aggregateUncBucketSm,
        aggregateUncBucketPcie, aggregateUncBucketMcu, aggregateUncBucketOther;
    unsigned int bThresholdExceeded;
} nvmlEccSramErrorStatus_v1_t;

typedef struct {
    unsigned int max, high, partial, low, none;
} nvmlRowRemapperHistogramValues_t;

typedef struct {
    unsigned long long referenceTime, violationTime; /* microseconds, nanoseconds */
} nvmlViolationTime_t;

typedef struct {
    unsigned int bGlobalStatus, clkMonListSize;
    struct {
        unsigned int clkApiDomain, clkDomainFaultMask;
    } clkMonList[32];
} nvmlClkMonStatus_t;

typedef struct {
    unsigned int flags;
    struct {
        unsigned int bIsPresent, percentage, incThreshold, decThreshold;
    } utilization[8];
} nvmlGpuDynamicPstatesInfo_t;

typedef struct {
    unsigned int count;
    struct {
        int controller, defaultMinTemp, defaultMaxTemp, currentTemp, target;
    } sensor[3];
} nvmlGpuThermalSettings_t;

typedef struct {
    unsigned int version, powerScope, powerValueMw;
} nvmlPowerValue_v2_t;

typedef struct {
    unsigned char bridgeCount;
    struct {
        unsigned int type, fwVersion;
    } bridgeChipInfo[128];
} nvmlBridgeChipHierarchy_t;

typedef struct {
    unsigned int units, pktfilter;
} nvmlNvLinkUtilizationControl_t;

typedef struct {
    unsigned int isC2cEnabled;
} nvmlC2cModeInfo_v1_t;

typedef struct {
    unsigned char clusterUuid[16];
    nvmlReturn_t status;
    unsigned int cliqueId;
    unsigned char state;
} nvmlGpuFabricInfo_t;

typedef struct {
    unsigned int version;
    unsigned char clusterUuid[16];
    nvmlReturn_t status;
    unsigned int cliqueId;
    unsigned char state;
    unsigned int healthMask;
} nvmlGpuFabricInfo_v2_t;

typedef struct {
    unsigned int cpuCaps, gpusCaps;
} nvmlConfComputeSystemCaps_t;

typedef struct {
    unsigned int environment, ccFeature, devToolsMode;
} nvmlConfComputeSystemState_t;

typedef struct {
    unsigned int version, environment, ccFeature, devToolsMode, multiGpuMode;
} nvmlSystemConfComputeSettings_v1_t;

typedef struct {
    unsigned long long protectedMemSizeKib, unprotectedMemSizeKib;
} nvmlConfComputeMemSizeInfo_t;

typedef struct {
    unsigned int version, mode;
} nvmlVgpuHeterogeneousMode_v1_t;

typedef struct {
    unsigned int version, isSupportedDevice;
} nvmlGpmSupport_t;

typedef struct {
    unsigned int hwbcId;
    char firmwareVersion[32];
} nvmlHwbcEntry_t;

typedef struct {
    int isGridLicenseSupported;
    unsigned int licensableFeaturesCount;
    struct {
        unsigned int featureCode, featureState;
        char licenseInfo[128], productName[128];
        unsigned int featureEnabled;
        struct {
            unsigned int year;
            unsigned short month, day, hour, min, sec;
            unsigned char status;
        } licenseExpiry;
    } gridLicensableFeatures[3];
} nvmlGridLicensableFeatures_t;

static_assert(sizeof(nvmlReturn_t) == 4, "return code");
static_assert(sizeof(nvmlPciInfo_v1_t) == 32, "PciInfo");
static_assert(sizeof(nvmlPciInfoExt_v1_t) == 64, "PciInfoExt");
static_assert(sizeof(nvmlExcludedDeviceInfo_t) == 148, "ExcludedDeviceInfo");
static_assert(sizeof(nvmlDeviceAttributes_v1_t) == 32, "DeviceAttributes");
static_assert(sizeof(void *) != 8 || sizeof(nvmlEventData_v1_t) == 24, "EventData");
static_assert(sizeof(nvmlValue_t) == 8, "Value");
static_assert(sizeof(nvmlFieldValue_t) == 40, "FieldValue");
static_assert(sizeof(nvmlSample_t) == 16, "Sample");
static_assert(sizeof(nvmlProcessUtilizationSample_t) == 32, "ProcessUtilizationSample");
static_assert(sizeof(nvmlAccountingStats_t) == 56, "AccountingStats");
static_assert(sizeof(nvmlEncoderSessionInfo_t) == 32, "EncoderSessionInfo");
static_assert(sizeof(nvmlFBCStats_t) == 12, "FBCStats");
static_assert(sizeof(nvmlFBCSessionInfo_t) == 48, "FBCSessionInfo");
static_assert(sizeof(nvmlEccErrorCounts_t) == 32, "EccErrorCounts");
static_assert(sizeof(nvmlEccSramErrorStatus_v1_t) == 104, "EccSramErrorStatus");
static_assert(sizeof(nvmlRowRemapperHistogramValues_t) == 20, "RowRemapperHistogramValues");
static_assert(sizeof(nvmlViolationTime_t) == 16, "ViolationTime");
static_assert(sizeof(nvmlClkMonStatus_t) == 264, "ClkMonStatus");
static_assert(sizeof(nvmlGpuDynamicPstatesInfo_t) == 132, "GpuDynamicPstatesInfo");
static_assert(sizeof(nvmlGpuThermalSettings_t) == 64, "GpuThermalSettings");
static_assert(sizeof(nvmlPowerValue_v2_t) == 12, "PowerValue");
static_assert(sizeof(nvmlBridgeChipHierarchy_t) == 1028, "BridgeChipHierarchy");
static_assert(sizeof(nvmlNvLinkUtilizationControl_t) == 8, "NvLinkUtilizationControl");
static_assert(sizeof(nvmlC2cModeInfo_v1_t) == 4, "C2cModeInfo");
static_assert(sizeof(nvmlGpuFabricInfo_t) == 28, "GpuFabricInfo");
static_assert(sizeof(nvmlGpuFabricInfo_v2_t) == 36, "GpuFabricInfo_v2");
static_assert(sizeof(nvmlConfComputeSystemCaps_t) == 8, "ConfComputeSystemCaps");
static_assert(sizeof(nvmlConfComputeSystemState_t) == 12, "ConfComputeSystemState");
static_assert(sizeof(nvmlSystemConfComputeSettings_v1_t) == 20, "SystemConfComputeSettings");
static_assert(sizeof(nvmlConfComputeMemSizeInfo_t) == 16, "ConfComputeMemSizeInfo");
static_assert(sizeof(nvmlVgpuHeterogeneousMode_v1_t) == 8, "VgpuHeterogeneousMode");
static_assert(sizeof(nvmlGpmSupport_t) == 8, "GpmSupport");
static_assert(sizeof(nvmlHwbcEntry_t) == 36, "HwbcEntry");
static_assert(sizeof(nvmlGridLicensableFeatures_t) == 860, "GridLicensableFeatures");
static_assert(sizeof(void *) != 8 || sizeof(nvmlPciInfo_t) == 68, "PciInfo_v3");
static_assert(sizeof(nvmlPciInfo_v2_t) == 52, "PciInfo_v2");
static_assert(sizeof(nvmlMemory_t) == 24, "Memory");
static_assert(NVML_VERSION_WORD(nvmlMemory_v2_t, 2) == 0x02000028, "Memory_v2");
static_assert(sizeof(nvmlProcessInfo_v1_t) == 16, "ProcessInfo_v1");
static_assert(sizeof(nvmlProcessInfo_t) == 24, "ProcessInfo");
static_assert(sizeof(nvmlDeviceAttributes_t) == 40, "DeviceAttributes");
static_assert(sizeof(nvmlGpuInstancePlacement_t) == 8, "Placement");
static_assert(sizeof(nvmlGpuInstanceProfileInfo_t) == 48, "GpuInstanceProfileInfo");
static_assert(NVML_VERSION_WORD(nvmlGpuInstanceProfileInfo_v2_t, 2) == 0x02000098, "GI v2");
static_assert(NVML_VERSION_WORD(nvmlGpuInstanceProfileInfo_v3_t, 3) == 0x03000098, "GI v3");
static_assert(sizeof(nvmlComputeInstanceProfileInfo_t) == 36, "ComputeInstanceProfileInfo");
static_assert(NVML_VERSION_WORD(nvmlComputeInstanceProfileInfo_v2_t, 2) == 0x02000088, "CI v2");
static_assert(NVML_VERSION_WORD(nvmlComputeInstanceProfileInfo_v3_t, 3) == 0x0300008c, "CI v3");
static_assert(sizeof(void *) != 8 || sizeof(nvmlGpuInstanceInfo_t) == 24, "GpuInstanceInfo");
static_assert(sizeof(void *) != 8 || sizeof(nvmlComputeInstanceInfo_t) == 32, "CI info");
static_assert(sizeof(void *) != 8 || sizeof(nvmlEventData_t) == 32, "EventData");
