/* Which members of the world's structs are which columns of schema.sql. */
#pragma once

#include "store/row.h"

extern const struct row_table table_boards, table_profiles, table_policy, table_gpus, table_seats,
    table_leases, table_slices;
