/* Turns the file named TABLE into one initialiser of struct board; included once per board.
 *
 * A table is written once and read three times: for the board's own figures, for the number of its
 * profiles, and for their rows. No include guard, on purpose. */
{
#define BOARD(name_, product_, pci_id_, family_, cc_major_, cc_minor_, complete_, memory_slices_, \
              compute_slices_, sms_, total_mib_) \
    .name = name_, .product = product_, .pci_id = pci_id_, .family = BOARD_##family_, \
    .cc_major = cc_major_, .cc_minor = cc_minor_, .complete = complete_, \
    .memory_slices = memory_slices_, .compute_slices = compute_slices_, .sms = sms_, \
    .total_mib = total_mib_,
#define PROFILE(...)
#include TABLE
#undef BOARD
#undef PROFILE

    .profile_n = 0
#define BOARD(...)
#define PROFILE(...) + 1
#include TABLE
#undef PROFILE
    ,

    .profiles = {
#define PROFILE(name_, id_, nvml_, compute_, suffix_, mib_, sms_, max_, ce_, dec_, enc_, jpeg_, \
                ofa_, l2_, l2_of_, size_, starts_) \
        {.nvml = nvml_, .id = id_, .compute = compute_, .size = size_, .starts = starts_, \
         .max = max_, .ce = ce_, .dec = dec_, .enc = enc_, .jpeg = jpeg_, .ofa = ofa_, .l2 = l2_, \
         .l2_of = l2_of_, .sms = sms_, .mib = mib_, .suffix = suffix_},
#include TABLE
#undef BOARD
#undef PROFILE
    },
},
