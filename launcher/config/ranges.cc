#include "launcher/config/ranges.h"

#include <google/protobuf/message.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <string_view>

#include "base/fixed_point.h"

namespace trestle {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr double kNone = std::numeric_limits<double>::infinity();
constexpr double kMaxDim = 4096;
constexpr double kMaxHashBuckets = 1e12;

// low <= x <= high, or low < x and x < high where a bound is open.
struct Range {
  std::string_view field;  // full name
  double low = -kNone;
  double high = kNone;
  bool low_open = false;
  bool high_open = false;
};

constexpr Range AtLeast(std::string_view field, double low) { return {field, low}; }
constexpr Range Above(std::string_view field, double low) { return {field, low, kNone, true}; }
constexpr Range Share(std::string_view field) { return {field, 0, 1, false, true}; }
constexpr Range Within(std::string_view field, double low, double high) {
  return {field, low, high};
}

constexpr auto kRanges = std::to_array<Range>({
    AtLeast("trestle.Data.max_bad_rows", 0),
    Share("trestle.Data.holdout"),
    {"trestle.Data.max_weight", 0, 1e6, true},
    {"trestle.Data.positive_weight", 0, 1e6, true},
    {"trestle.Data.negative_keep", 0, 1, true},
    Within("trestle.IdFeature.dim", 1, kMaxDim),
    Within("trestle.IdFeature.hash_buckets", 1, kMaxHashBuckets),
    Within("trestle.SequenceFeature.dim", 1, kMaxDim),
    Within("trestle.SequenceFeature.keep_last", 1, 65'536),
    Within("trestle.SequenceFeature.hash_buckets", 1, kMaxHashBuckets),
    Within("trestle.BagFeature.dim", 1, kMaxDim),
    AtLeast("trestle.BagFeature.keep_last", 1),
    Within("trestle.BagFeature.hash_buckets", 1, kMaxHashBuckets),
    Within("trestle.BucketizeFeature.quantiles", 2, 65'536),
    Within("trestle.BucketizeFeature.dim", 1, kMaxDim),
    Within("trestle.CrossFeature.dim", 1, kMaxDim),
    Within("trestle.CrossFeature.hash_buckets", 1, kMaxHashBuckets),
    Within("trestle.Mlp.units", 1, 65'536),
    Share("trestle.Mlp.dropout"),
    Within("trestle.Attention.units", 1, 65'536),
    Share("trestle.Attention.dropout"),
    AtLeast("trestle.Initializer.Normal.std", 0),
    Above("trestle.Initializer.TruncatedNormal.std", 0),
    AtLeast("trestle.Initializer.Xavier.rows", 1),
    Above("trestle.EmbeddingOptimizer.Sgd.lr", 0),
    Above("trestle.EmbeddingOptimizer.Adagrad.lr", 0),
    AtLeast("trestle.EmbeddingOptimizer.Adagrad.initial_accumulator", 0),
    Above("trestle.EmbeddingOptimizer.Adagrad.epsilon", 0),
    Above("trestle.EmbeddingOptimizer.RowwiseAdagrad.lr", 0),
    AtLeast("trestle.EmbeddingOptimizer.RowwiseAdagrad.initial_accumulator", 0),
    Above("trestle.EmbeddingOptimizer.RowwiseAdagrad.epsilon", 0),
    Above("trestle.EmbeddingOptimizer.Adam.lr", 0),
    Share("trestle.EmbeddingOptimizer.Adam.beta1"),
    Share("trestle.EmbeddingOptimizer.Adam.beta2"),
    Above("trestle.EmbeddingOptimizer.Adam.epsilon", 0),
    Above("trestle.EmbeddingOptimizer.Momentum.lr", 0),
    Share("trestle.EmbeddingOptimizer.Momentum.momentum"),
    Above("trestle.EmbeddingOptimizer.RmsProp.lr", 0),
    Share("trestle.EmbeddingOptimizer.RmsProp.decay"),
    Above("trestle.EmbeddingOptimizer.RmsProp.epsilon", 0),
    Above("trestle.EmbeddingOptimizer.Ftrl.lr", 0),
    Above("trestle.EmbeddingOptimizer.Ftrl.beta", 0),
    AtLeast("trestle.EmbeddingOptimizer.Ftrl.l1", 0),
    AtLeast("trestle.EmbeddingOptimizer.Ftrl.l2", 0),
    AtLeast("trestle.EmbeddingOptimizer.l2", 0),
    Above("trestle.DenseOptimizer.Sgd.lr", 0),
    Above("trestle.DenseOptimizer.Momentum.lr", 0),
    Share("trestle.DenseOptimizer.Momentum.momentum"),
    Above("trestle.DenseOptimizer.Adagrad.lr", 0),
    AtLeast("trestle.DenseOptimizer.Adagrad.initial_accumulator", 0),
    Above("trestle.DenseOptimizer.Adagrad.epsilon", 0),
    Above("trestle.DenseOptimizer.Adam.lr", 0),
    Share("trestle.DenseOptimizer.Adam.beta1"),
    Share("trestle.DenseOptimizer.Adam.beta2"),
    Above("trestle.DenseOptimizer.Adam.epsilon", 0),
    Above("trestle.DenseOptimizer.clip_norm", 0),
    AtLeast("trestle.DenseOptimizer.l2", 0),
    AtLeast("trestle.LrSchedule.warmup_steps", 0),
    AtLeast("trestle.LrSchedule.Step.every_steps", 1),
    Within("trestle.LrSchedule.Step.factor", 0, 1),
    AtLeast("trestle.LrSchedule.Cosine.steps", 1),
    Within("trestle.LrSchedule.Cosine.floor", 0, 1),
    AtLeast("trestle.LrSchedule.Exponential.decay_steps", 1),
    Within("trestle.LrSchedule.Exponential.factor", 0, 1),
    Within("trestle.LrSchedule.Epoch.factor", 0, 1),
    Within("trestle.Loss.Focal.alpha", 0, 1),
    AtLeast("trestle.Loss.Focal.gamma", 0),
    Within("trestle.Loss.Mixed.alpha", 0, 1),
    AtLeast("trestle.Loss.Mixed.gamma", 0),
    Within("trestle.Loss.Mixed.share", 0, 1),
    Share("trestle.Loss.label_smoothing"),
    Within("trestle.Batch.rows", 1, 1 << 28),
    Within("trestle.Batch.lanes", 1, kMaxLanes),
    AtLeast("trestle.Train.epochs", 1),
    Above("trestle.Train.log_every_s", 0),
    AtLeast("trestle.Train.eval_every_steps", 1),
    AtLeast("trestle.Train.patience", 1),
    AtLeast("trestle.Train.max_steps", 1),
    Above("trestle.Train.max_minutes", 0),
    AtLeast("trestle.Checkpoint.every_steps", 1),
    Above("trestle.Checkpoint.every_minutes", 0),
    AtLeast("trestle.Checkpoint.keep", 1),
    AtLeast("trestle.Checkpoint.keep_every", 1),
    AtLeast("trestle.Checkpoint.snapshot_mb", 1),
    AtLeast("trestle.Checkpoint.full_every", 1),
    AtLeast("trestle.Cluster.servers", 0),
    Within("trestle.Cluster.threads", 1, 1024),
    Within("trestle.Cluster.deadline_s", 1, 86'400),
    Within("trestle.Table.dim", 1, kMaxDim),
});

const Range* FindRange(const FieldDescriptor* field) {
  for (const Range& range : kRanges) {
    if (range.field == field->full_name()) return &range;
  }
  return nullptr;
}

bool Inside(const Range& range, double x) {
  const bool low = range.low_open ? x > range.low : x >= range.low;
  const bool high = range.high_open ? x < range.high : x <= range.high;
  return low && high;
}

std::string Number(double x) {
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), x == std::floor(x) ? "%.0f" : "%.9g", x);
  return text.data();
}

// A number of a message; `index` is -1 unless the field is repeated.
double Get(const Message& message, const FieldDescriptor* field, int index) {
  const Reflection* r = message.GetReflection();
  const bool one = index < 0;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return one ? r->GetInt32(message, field) : r->GetRepeatedInt32(message, field, index);
    case FieldDescriptor::CPPTYPE_INT64:
      return static_cast<double>(one ? r->GetInt64(message, field)
                                     : r->GetRepeatedInt64(message, field, index));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return one ? r->GetDouble(message, field) : r->GetRepeatedDouble(message, field, index);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return one ? r->GetFloat(message, field) : r->GetRepeatedFloat(message, field, index);
    default:
      return 0;  // no range is given for other types
  }
}

class RangeCheck {
 public:
  RangeCheck(const FieldPlaces& places, Problems* problems)
      : places_(places), problems_(problems) {}

  void Visit(const Message& message, const std::string& path) {
    std::vector<const FieldDescriptor*> set;
    message.GetReflection()->ListFields(message, &set);
    for (const FieldDescriptor* field : set) {
      const std::string inside = MemberPath(path, field->name());
      if (!field->is_repeated()) {
        VisitOne(message, field, -1, inside);
        continue;
      }
      for (int i = 0; i < message.GetReflection()->FieldSize(message, field); ++i) {
        VisitOne(message, field, i, EntryPath(inside, i));
      }
    }
    CheckUnsetZeros(message, path);
  }

 private:
  void VisitOne(const Message& message, const FieldDescriptor* field, int index,
                const std::string& path) {
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      const Reflection* r = message.GetReflection();
      Visit(
          index < 0 ? r->GetMessage(message, field) : r->GetRepeatedMessage(message, field, index),
          path);
      return;
    }
    if (const Range* range = FindRange(field))
      Check(*range, Get(message, field, index), field, path);
  }

  // A field without presence that was written as 0 is not listed as set, but has a place.
  void CheckUnsetZeros(const Message& message, const std::string& path) {
    for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
      const FieldDescriptor* field = message.GetDescriptor()->field(i);
      if (field->is_repeated() || field->has_presence()) continue;
      const std::string inside = MemberPath(path, field->name());
      const Range* range = FindRange(field);
      const bool zero = range && Get(message, field, -1) == 0;
      if (zero && places_.Exact(inside).known()) Check(*range, 0, field, inside);
    }
  }

  void Check(const Range& range, double x, const FieldDescriptor* field, const std::string& path) {
    if (Inside(range, x)) return;
    problems_->Add(places_.Nearest(path),
                   path + ": " + Number(x) + " is out of range; allowed: " + RangeText(field));
  }

  const FieldPlaces& places_;
  Problems* problems_;
};

}  // namespace

std::string RangeText(const FieldDescriptor* field) {
  const Range* range = FindRange(field);
  if (!range) return {};
  const std::string low = Number(range->low);
  if (range->high == kNone) return (range->low_open ? "above " : "at least ") + low;
  return (range->low_open ? "above " : "") + low + " to " + (range->high_open ? "below " : "") +
         Number(range->high);
}

void CheckRanges(const Config& config, const FieldPlaces& places, Problems* problems) {
  RangeCheck(places, problems).Visit(config, "");
}

}  // namespace trestle
