/* Reads the rows of nvml_calls.def: turns their (kind, type, name) parameters into C.
 *
 *     #define CALL(name, since, fidelity, who, ...) nvmlReturn_t (*name)(NVML_DECLS(__VA_ARGS__));
 *     #define ALIAS(name, since, as, ...)
 *     #include "nvml/nvml_calls.def"
 *
 * gives a struct of function pointers, NVML_PARAMS(...) an initialiser of struct nvml_param[], and
 * NVML_ARGS(...) one of uint64_t[] holding what the parameters of those names hold. */
#pragma once

#include "nvml/abi.h"

#include <stdint.h>

enum nvml_kind {
    NVML_KIND_NONE, /* no parameter */
    NVML_KIND_DEV,
    NVML_KIND_GIN,
    NVML_KIND_CIN,
    NVML_KIND_EVS,
    NVML_KIND_NUM,
    NVML_KIND_STR, /* from here on, but for LEN, pointers */
    NVML_KIND_PLC,
    NVML_KIND_OUT,
    NVML_KIND_BUF,
    NVML_KIND_LEN,
    NVML_KIND_VER,
    NVML_KIND_ARR,
    NVML_KIND_LST,
    NVML_KIND_LSN,
    NVML_KIND_CNT,
    NVML_KIND_INS,
    NVML_KIND_RAW,
    NVML_KIND_TXT,
    NVML_KIND_SET,
    NVML_KIND_IOA,
};

enum { NVML_MAX_PARAMS = 7, NVML_TEXT_ROOM = 64 };

struct nvml_param {
    uint8_t kind;
    uint16_t size; /* of the type, or of one element */
};

enum nvml_fidelity { NVML_EXACT, NVML_MODELLED, NVML_CONSTANT, NVML_NONE, NVML_LOCAL };
enum nvml_who { NVML_USER, NVML_ROOT, NVML_CONFIG, NVML_KEEP };

#define NVML_DECL_DEV(type, name) type name
#define NVML_DECL_GIN(type, name) type name
#define NVML_DECL_CIN(type, name) type name
#define NVML_DECL_EVS(type, name) type name
#define NVML_DECL_NUM(type, name) type name
#define NVML_DECL_LEN(type, name) type name
#define NVML_DECL_STR(type, name) const type *name
#define NVML_DECL_PLC(type, name) const type *name
#define NVML_DECL_OUT(type, name) type *name
#define NVML_DECL_BUF(type, name) type *name
#define NVML_DECL_VER(type, name) type *name
#define NVML_DECL_ARR(type, name) type *name
#define NVML_DECL_LST(type, name) type *name
#define NVML_DECL_LSN(type, name) type *name
#define NVML_DECL_CNT(type, name) type *name
#define NVML_DECL_INS(type, name) const type *name
#define NVML_DECL_RAW(type, name) type *name
#define NVML_DECL_TXT(type, name) type *name
#define NVML_DECL_SET(type, name) type *name
#define NVML_DECL_IOA(type, name) type *name

#define NVML_DECL(kind, type, name) NVML_DECL_##kind(type, name)
#define NVML_PARAM(kind, type, name) {NVML_KIND_##kind, (uint16_t)sizeof(type)}
#define NVML_ARG(kind, type, name) (uint64_t)(uintptr_t)(name)

/* Applies `m` to each tuple, with commas between; at most NVML_MAX_PARAMS of them. */
#define NVML_COUNT(...) NVML_COUNT_(0, ##__VA_ARGS__, 7, 6, 5, 4, 3, 2, 1, 0)
#define NVML_COUNT_(zero, a, b, c, d, e, f, g, n, ...) n
#define NVML_CAT(a, b) NVML_CAT_(a, b)
#define NVML_CAT_(a, b) a##b
#define NVML_MAP(m, none, ...) NVML_CAT(NVML_MAP_, NVML_COUNT(__VA_ARGS__))(m, none, ##__VA_ARGS__)
#define NVML_MAP_0(m, none) none
#define NVML_MAP_1(m, none, a) m a
#define NVML_MAP_2(m, none, a, b) m a, m b
#define NVML_MAP_3(m, none, a, b, c) m a, m b, m c
#define NVML_MAP_4(m, none, a, b, c, d) m a, m b, m c, m d
#define NVML_MAP_5(m, none, a, b, c, d, e) m a, m b, m c, m d, m e
#define NVML_MAP_6(m, none, a, b, c, d, e, f) m a, m b, m c, m d, m e, m f
#define NVML_MAP_7(m, none, a, b, c, d, e, f, g) m a, m b, m c, m d, m e, m f, m g

#define NVML_DECLS(...) NVML_MAP(NVML_DECL, void, ##__VA_ARGS__)
#define NVML_PARAMS(...) NVML_MAP(NVML_PARAM, {0}, ##__VA_ARGS__)
#define NVML_ARGS(...) NVML_MAP(NVML_ARG, 0, ##__VA_ARGS__)

/* The numbers of the calls, on which the emulated library and the emulated driver agree: order in
 * nvml_calls.def, so a change there is a change of the protocol. */
enum nvml_call {
#define CALL(name, since, fidelity, who, ...) NVML_CALL_##name,
#define ALIAS(name, since, as, ...)
#include "nvml/nvml_calls.def"
#undef CALL
#undef ALIAS
    NVML_CALL_N
};

/* Declarations, for whoever links or defines them. nvmlErrorString alone returns a text. */
#define CALL(name, since, fidelity, who, ...) nvmlReturn_t name(NVML_DECLS(__VA_ARGS__));
#define ALIAS(name, since, as, ...) nvmlReturn_t name(NVML_DECLS(__VA_ARGS__));
#include "nvml/nvml_calls.def"
#undef CALL
#undef ALIAS

/* The text of a return code; never NULL. */
const char *nvmlErrorString(nvmlReturn_t result);
