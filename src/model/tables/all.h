/* The list of boards, in the order they are shown.
 *
 * The includer says by TABLE_READ what happens with each file: a reader's name, or just TABLE for
 * the rows themselves. No include guard, on purpose. */
#define TABLE "model/tables/a100-40.def"
#include TABLE_READ
#undef TABLE
#define TABLE "model/tables/a100-80.def"
#include TABLE_READ
#undef TABLE
#define TABLE "model/tables/a30.def"
#include TABLE_READ
#undef TABLE
#define TABLE "model/tables/h100-sxm.def"
#include TABLE_READ
#undef TABLE
#define TABLE "model/tables/h100-pcie.def"
#include TABLE_READ
#undef TABLE
#define TABLE "model/tables/h100-nvl.def"
#include TABLE_READ
#undef TABLE
#define TABLE "model/tables/h20.def"
#include TABLE_READ
#undef TABLE
#define TABLE "model/tables/h200.def"
#include TABLE_READ
#undef TABLE
#define TABLE "model/tables/gh200-96.def"
#include TABLE_READ
#undef TABLE
#define TABLE "model/tables/gh200-144.def"
#include TABLE_READ
#undef TABLE
#define TABLE "model/tables/b200.def"
#include TABLE_READ
#undef TABLE
#define TABLE "model/tables/b300.def"
#include TABLE_READ
#undef TABLE
#define TABLE "model/tables/gb200.def"
#include TABLE_READ
#undef TABLE
#define TABLE "model/tables/gb300.def"
#include TABLE_READ
#undef TABLE
#define TABLE "model/tables/rtx-pro-6000.def"
#include TABLE_READ
#undef TABLE
#define TABLE "model/tables/gb10.def"
#include TABLE_READ
#undef TABLE
