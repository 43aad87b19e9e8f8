#include "backend/dlpack.h"

#include <dlpack/dlpack.h>
#include <gtest/gtest.h>

#include "tests/backend/lane_fixture.h"

namespace trestle {
namespace {

TEST(Dlpack, ViewsBorrowTheSlotsBuffers) {
  LaneFixture fixture(TestInputs(), 5, 3, 1);
  const SlotTensor& slot = fixture.lane.slots[2];  // hist_item
  const DlpackView values = ViewValues(slot);
  const DLTensor& tensor = values->dl_tensor;
  EXPECT_EQ(tensor.data, slot.values);
  EXPECT_EQ(tensor.device.device_type, kDLCPU);
  EXPECT_EQ(tensor.dtype.code, kDLFloat);
  EXPECT_EQ(tensor.dtype.bits, 32);
  EXPECT_EQ(tensor.dtype.lanes, 1);
  ASSERT_EQ(tensor.ndim, 2);
  EXPECT_EQ(tensor.shape[0], slot.count);
  EXPECT_EQ(tensor.shape[1], slot.dim);
  EXPECT_EQ(tensor.strides[0], slot.dim);
  EXPECT_EQ(tensor.strides[1], 1);
  EXPECT_EQ(ViewGradient(slot)->dl_tensor.data, slot.gradient);

  const DlpackView offsets = ViewOffsets(slot, fixture.lane.rows);
  EXPECT_EQ(offsets->dl_tensor.data, slot.offsets);
  EXPECT_EQ(offsets->dl_tensor.dtype.code, kDLInt);
  ASSERT_EQ(offsets->dl_tensor.ndim, 1);
  EXPECT_EQ(offsets->dl_tensor.shape[0], fixture.lane.rows + 1);
}

TEST(Dlpack, WhatIsAbsentHasNoView) {
  LaneFixture fixture(TestInputs(), 5, 3, 1);
  SlotTensor slot = fixture.lane.slots[0];
  slot.gradient = nullptr;
  EXPECT_EQ(ViewGradient(slot), nullptr);
  EXPECT_EQ(ViewOffsets(slot, 5), nullptr);
}

TEST(Dlpack,
     AReleasedViewIsFreedByItsOwnDeleter) {  // the sanitizer run sees a leak or a double free
  float data[6] = {};
  DLManagedTensor* taken = ViewMatrix(data, 2, 3).release();
  EXPECT_EQ(taken->dl_tensor.shape[1], 3);
  taken->deleter(taken);
}

}  // namespace
}  // namespace trestle
