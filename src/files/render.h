/* What the kernel modules of a GPU machine show of it in /proc and /sys, as text: pure functions of
 * the machine.
 *
 * The formats are those that programs read; a line whose value no emulated machine has (the build
 * date, the interrupt, the BIOS) is left out rather than made up. */
#pragma once

#include "base/str.h"
#include "model/machine.h"

/* Major numbers of the device nodes: NVIDIA's own is fixed, the others are the kernel's to give. */
enum { RENDER_MAJOR = 195, RENDER_MINOR_CTL = 255 };
struct render_majors {
    unsigned uvm, caps;
};

/* Minors and modes of the two capabilities that every machine has. */
enum { RENDER_CONFIG = 1, RENDER_MONITOR = 2, RENDER_CONFIG_MODE = 0400, RENDER_MODE = 0444 };

/* /proc/driver/nvidia/version and params. */
void render_version(const char *driver, struct str *ret);
void render_params(struct str *ret);

/* /proc/driver/nvidia/gpus/BUS/information of one GPU. */
void render_information(const struct machine *m, const struct machine_gpu *g, struct str *ret);

/* A file below /proc/driver/nvidia/capabilities. */
void render_capability(unsigned minor, unsigned mode, struct str *ret);

/* /proc/driver/nvidia-caps/mig-minors: the static table of all minors there can be. */
void render_minors(struct str *ret);

/* /proc/devices: `host`, which is that of the kernel, with the majors of NVIDIA's modules. Names
 * them as that driver version does. Numbers that `host` has for them already are kept. False if
 * `host` has no "Character devices:" or no major is free. */
bool render_devices(const char *host, const char *driver, struct str *ret,
                    struct render_majors *ret_majors);

/* A GPU's address as /sys and /proc write it, "0000:07:00.0". */
enum { RENDER_BUS = 24 };
void render_bus(const struct machine_gpu *g, char ret[RENDER_BUS]);

/* PCI class "3D controller", and the revision that lspci shows of A100 and H100. */
enum { RENDER_CLASS = 0x0302, RENDER_REVISION = 0xa1 };

/* The PCI configuration space: identity and class, no capabilities, no memory regions. */
enum { RENDER_PCI_CONFIG = 256 };
void render_pci_config(const struct board *b, uint8_t ret[RENDER_PCI_CONFIG]);

/* uevent and modalias of the PCI device. */
void render_pci_uevent(const struct board *b, const struct machine_gpu *g, struct str *ret);
void render_pci_modalias(const struct board *b, struct str *ret);
