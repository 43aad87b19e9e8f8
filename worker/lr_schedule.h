// The learning rates' schedule: one factor a step, as a pure function of the config and of where
// training is. Workers compute it and the step's header carries it to the servers (ps/client.h), so
// that all ranks step with the same bits, whatever their mathematical library.
//
// With n = the steps done since the warm-up ended:
//   warm-up      step / warmup_steps, in its steps
//   step         factor^floor(n / every_steps)
//   cosine       floor + (1 - floor) (1 + cos(pi n / (steps - warmup_steps))) / 2, then floor
//   exponential  factor^(n / decay_steps)
//   epoch        factor^epoch, also in the warm-up
//
// Thread safety: pure. Source: Loshchilov and Hutter 2017 (cosine); Goyal et al. 2017 (warm-up).
#pragma once

#include <cstdint>

#include "worker/lr_schedule.pb.h"

namespace trestle {

struct SchedulePosition {
  int64_t step = 1;       // of the segment, counted from 1
  int64_t epoch = 0;      // of the segment, counted from 0
  int64_t run_steps = 1;  // of all epochs of the segment, or up to train.max_steps
};

// In [0, 1]. The settings have passed the config's checks.
float LrFactor(const LrSchedule& schedule, const SchedulePosition& at);

}  // namespace trestle
