/* How long a piece of work takes on a GPU or slice, and what others on the same GPU cost it.
 *
 * Nothing is computed on an emulated GPU, so all of it follows tables of published measurements
 * (tables/service.def, share.def; sources in source.def). A figure that was measured on that board,
 * size and batch is `measured`; between two batches it is `interpolated`. Everything else is
 * `predicted`, by the form for slices of share/share.h through the smallest and the largest device
 * measured, where the strength of a device is the geometric mean of its shares of arithmetic and of
 * memory bandwidth (tables/rate.def). Its error on the measured sizes between is checked by
 * test-work.c, on whole published tables by bench/share-errors. Pure: values in, values out. */
#pragma once

#include "model/board.h"

enum { WORK_NAME = 32, WORK_BATCH = 4096 };

enum work_basis { WORK_MEASURED, WORK_INTERPOLATED, WORK_PREDICTED, WORK_GIVEN };

/* "measured", ...; GIVEN is "own". */
const char *work_basis_name(enum work_basis basis);

enum work_source {
#define SOURCE(id, name, text) WORK_##id,
#include "emul/tables/source.def"
#undef SOURCE
    WORK_SOURCES,
};

/* The short name of a source for lines of output, and what it is. */
const char *work_source_name(enum work_source s);
const char *work_source_text(enum work_source s);

/* Where work runs. */
struct work_place {
    char board[BOARD_NAME];
    uint16_t sms, board_sms;     /* of the slice, of the whole GPU */
    uint8_t slices, of_slices;   /* of memory; 1 of 1 for a whole GPU */
    uint8_t compute, of_compute; /* compute slices; compute 0: the whole GPU, MIG off */
    bool plain; /* the smallest profile with so many compute slices, and all of it */
};

/* A profile of a board, or with BOARD_NO_PROFILE the whole GPU. `ci_sms` (0: all): SMs of the
 * compute instance, where that is only a part. */
struct work_place work_place(const struct board *b, unsigned profile, unsigned ci_sms);

/* What is worked on. */
struct work {
    char name[WORK_NAME];
    int model;  /* -1: the user's own measurement, which follows */
    int64_t ns; /* of one batch, alone on `at` */
    struct work_place at;
};

/* Known models, in the order of the table. */
unsigned work_models(void);
const char *work_model_name(unsigned model);
const char *work_model_text(unsigned model);

/* The boards a model was measured on and by whom: writes at most `room` of each and returns how
 * many there are. */
unsigned work_model_boards(unsigned model, const char **ret_boards, enum work_source *ret_sources,
                           unsigned room);

/* -ERROR_NOT_FOUND with the nearest names. */
int work_find(const char *name, struct work *ret, struct error *err);

struct work_time {
    int64_t ns;
    enum work_basis basis;
    enum work_source source;
};

/* How long one batch takes with nobody else there. -ERROR_UNSUPPORTED where nothing can be said: no
 * published rate for this board. */
int work_service(const struct work *w, const struct work_place *p, unsigned batch,
                 struct work_time *ret, struct error *err);

/* Who else is at work at this moment. */
struct work_around {
    unsigned sliced;     /* on the same GPU or compute instance, taking turns */
    unsigned mps;        /* there under MPS */
    unsigned instances;  /* other compute instances of the same GPU instance with work */
    unsigned other_busy; /* compute slices of other GPU instances with work */
    bool other_work;     /* one of `sliced` and `mps` does other work than this */
};

struct work_cost {
    double factor;         /* how many times as long it takes; at least 1 */
    enum work_basis basis; /* of the factor; MEASURED where nobody is there */
    unsigned sources;      /* bit = enum work_source; 0: nobody is there */
};

/* What those around cost a batch. `mps`: this work itself is under MPS. */
struct work_cost work_cost(const struct work *w, const struct work_place *p, unsigned batch,
                           bool mps, const struct work_around *around);

/* The part of `alone` ns, which a batch takes at `p` with nobody there, for which it occupies the
 * device; what is left is its process's own. All of what it takes on the smallest slice of the
 * board (of an A100's where the board has none) is taken for work of the device. */
double work_device(const struct work *w, const struct work_place *p, unsigned batch, double alone);
