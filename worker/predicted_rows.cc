#include "worker/predicted_rows.h"

#include <glog/logging.h>

#include <cstring>

namespace trestle {
namespace {

// Calls visit(vector) for each vector, in one order.
template <class Rows, class Visitor>
void VisitVectors(Rows& rows, Visitor&& visit) {
  visit(rows.accepted);
  visit(rows.logits);
  for (auto& lists : rows.attention) {
    visit(lists.lengths);
    visit(lists.values);
  }
  for (auto& embedding : rows.embeddings) visit(embedding);
}

}  // namespace

std::string ToBytes(const PredictedRows& rows) {
  std::string bytes;
  VisitVectors(rows, [&bytes](const auto& values) {
    const uint64_t count = values.size();
    bytes.append(reinterpret_cast<const char*>(&count), sizeof(count));
    bytes.append(reinterpret_cast<const char*>(values.data()), count * sizeof(values[0]));
  });
  return bytes;
}

void AppendBytes(std::string_view bytes, PredictedRows* rows) {
  VisitVectors(*rows, [&bytes](auto& values) {
    uint64_t count = 0;
    CHECK_GE(bytes.size(), sizeof(count));
    std::memcpy(&count, bytes.data(), sizeof(count));
    bytes.remove_prefix(sizeof(count));
    CHECK_GE(bytes.size() / sizeof(values[0]), count);
    const size_t at = values.size();
    values.resize(at + count);
    if (count > 0) std::memcpy(values.data() + at, bytes.data(), count * sizeof(values[0]));
    bytes.remove_prefix(count * sizeof(values[0]));
  });
  CHECK(bytes.empty());
}

}  // namespace trestle
