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

typedef struct {
    unsigned long long total, free, used;
} nvmlMemory_t;

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

static_assert(sizeof(nvmlReturn_t) == 4, "return code");
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
