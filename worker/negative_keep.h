// Training on a share of the rows of label 0. Which ones is a function of seed, file and row, so
// that it is the same on any number of ranks, in every epoch and after a resume. The model then
// sees positives 1 / share times too often; its predictions are corrected for that.
//
// Thread safety: pure functions.
// Source: He et al., "Practical lessons from predicting clicks on ads at Facebook", ADKDD 2014,
// section 6.3.
#pragma once

#include <cstdint>

#include "worker/data.pb.h"

namespace trestle {

// The share that a config says.
double NegativeKeep(const Data& data);

// Whether a row of label 0 is trained on.
bool KeepsNegative(double share, uint64_t seed, uint64_t file_index, uint64_t row_in_file);

// What is added to a logit: p' = p / (p + (1 - p) / share) is sigmoid(logit + log(share)).
float LogitCorrection(double share);

}  // namespace trestle
