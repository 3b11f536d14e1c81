/* What programs that model work ask of the emulated driver: EMU_DEVICE and EMU_WORK. */
#pragma once

#include "emud/answer.h"

/* Answers these two, and is false for any other request. `now` is the machine's clock. */
bool calls_work_answer(struct box *b, struct box_session *s, const struct emu_request *q,
                       int64_t now, struct answer *ret);
