// Random lanes for tests: owns the buffers that LaneTensors point to. Functions of the seed alone.
#pragma once

#include <deque>
#include <random>
#include <vector>

#include "backend/bridge.h"

namespace trestle {

// Two ids and two sequence groups; the first group pairs with the candidate of TestDin().
inline ModelInputSpec TestInputs() {
  ModelInputSpec inputs;
  inputs.slots = {{"user", 3},         {"item", 4}, {"hist_item", 4, 0},
                  {"hist_cate", 2, 0}, {"cate", 2}, {"tags", 3, 1}};
  inputs.numeric_width = 2;
  return inputs;
}

class LaneFixture {
 public:
  // Histories of 0 to `longest` items. Values normal of the given scale; labels 0 or 1.
  LaneFixture(const ModelInputSpec& inputs, int64_t rows, int longest, uint32_t seed,
              float scale = 0.7f)
      : random_(seed), scale_(scale) {
    lane.rows = rows;
    std::vector<const int32_t*> groups;
    for (const SlotSpec& slot : inputs.slots) {
      SlotTensor tensor;
      tensor.dim = slot.dim;
      tensor.count = rows;
      if (slot.list()) {
        while (static_cast<int>(groups.size()) <= slot.sequence_group) {
          groups.push_back(AddOffsets(rows, longest));
        }
        tensor.offsets = groups[slot.sequence_group];
        tensor.count = tensor.offsets[rows];
      }
      tensor.values = AddValues(tensor.count * tensor.dim);
      tensor.gradient = AddValues(tensor.count * tensor.dim);  // garbage, to be overwritten
      lane.slots.push_back(tensor);
    }
    lane.numeric = AddValues(rows * inputs.numeric_width);
    float* labels = AddValues(rows);
    for (int64_t i = 0; i < rows; ++i) labels[i] = labels[i] > 0.2f * scale ? 1.0f : 0.0f;
    lane.labels = labels;
    lane.logits = AddValues(rows);
  }

  LaneFixture(const LaneFixture&) = delete;  // the lane points into the buffers
  LaneFixture& operator=(const LaneFixture&) = delete;

  LaneTensors lane;

 private:
  const int32_t* AddOffsets(int64_t rows, int longest) {
    std::vector<int32_t>& offsets = offsets_.emplace_back(1, 0);
    std::uniform_int_distribution<int> length(0, longest);
    for (int64_t i = 0; i < rows; ++i) offsets.push_back(offsets.back() + length(random_));
    return offsets.data();
  }
  float* AddValues(int64_t count) {
    std::vector<float>& values = values_.emplace_back(count);
    std::normal_distribution<float> normal(0.0f, scale_);
    for (float& x : values) x = normal(random_);
    return values.data();
  }

  std::mt19937 random_;
  float scale_;
  std::deque<std::vector<float>> values_;
  std::deque<std::vector<int32_t>> offsets_;
};

}  // namespace trestle
