/* The rows of tables/service.def, for the two files that read them and for the test that asks how
 * good predictions are. */
#pragma once

#include "emul/work.h"

enum { WORK_COLUMNS = 6, WORK_BATCHES = 16 }; /* of a model on one board */

struct work_row {
    const char *model, *board;
    enum work_source source;
    unsigned batch;
    uint32_t us[WORK_COLUMNS]; /* whole, 1g, 2g, 3g, 4g, 7g; 0: not measured */
    uint16_t mps[4];           /* of 2 to 5 processes; all 0: not measured */
};

/* All rows, those of one model and board together; *ret_n of them. */
const struct work_row *work_table_rows(unsigned *ret_n);

/* Predicts ns at a place from the weakest and the strongest device of a row and of the other
 * batches of the same model, leaving out the columns of the mask `without`; 0 if nothing can be
 * said. */
double work_table_predict(const struct work_row *row, const struct work_place *p, bool bandwidth,
                          unsigned without);

/* The row with measurements under MPS that is nearest below `batch`, NULL if there is none. */
const struct work_row *work_table_mps(const struct work *w, const struct work_place *p,
                                      unsigned batch);

/* Whether the work is limited by memory bandwidth alone. */
bool work_table_bandwidth(const struct work *w);
