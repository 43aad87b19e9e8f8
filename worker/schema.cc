#include "worker/schema.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <unordered_map>

#include "base/nearest_name.h"

namespace trestle {
namespace {

constexpr int kDefaultDim = 16;
constexpr int kMaxDim = 4096;
constexpr int kDefaultKeepLast = 50;
constexpr int kMaxKeepLast = 1'000'000;
constexpr double kMaxWeight = 1e6;  // of a row; the sums of a lane lose 20 bits
constexpr int kAll = std::numeric_limits<int>::max();

std::string Quote(const std::string& name) { return "\"" + name + "\""; }

std::string At(const std::string& kind, int index) {
  return "features." + kind + "[" + std::to_string(index) + "]";
}

// Builds the schema and collects mistakes; a mistaken entry is left out and the rest still checked.
class SchemaBuilder {
 public:
  Result<Schema> Build(const Data& data, const Features& features) {
    AddSpecialColumns(data);
    for (int i = 0; i < features.id_size(); ++i) AddIds(features.id(i), At("id", i));
    for (int i = 0; i < features.sequence_size(); ++i) {
      AddSequence(features.sequence(i), i, At("sequence", i));
    }
    for (int i = 0; i < features.bag_size(); ++i) AddBag(features.bag(i), i, features);
    for (int i = 0; i < features.bucketize_size(); ++i) {
      AddBuckets(features.bucketize(i), At("bucketize", i));
    }
    for (int i = 0; i < features.cross_size(); ++i) {
      AddCross(features.cross(i), At("cross", i));
    }
    for (int i = 0; i < features.numeric_size(); ++i) {
      AddNumeric(features.numeric(i), At("numeric", i));
    }
    if (schema_.slots.empty() && schema_.numeric.empty() && mistakes_.empty()) {
      Mistake("features: none given; a model needs at least one column");
    }
    if (mistakes_.empty()) return std::move(schema_);
    return Status(StatusCode::kInvalidConfig, Join());
  }

 private:
  void Mistake(std::string text) { mistakes_.push_back(std::move(text)); }

  std::string Join() const {
    std::string text;
    for (const std::string& mistake : mistakes_) text += (text.empty() ? "" : "\n") + mistake;
    return text;
  }

  // The label belongs to no feature; the group may be an id feature too (GAUC by user).
  void AddSpecialColumns(const Data& data) {
    schema_.label = data.label();
    schema_.group = data.group();
    schema_.weight = data.weight();
    if (data.has_max_weight()) schema_.max_weight = data.max_weight();
    if (data.has_positive_weight()) schema_.positive_weight = data.positive_weight();
    if (data.has_positive_from()) schema_.positive_from = data.positive_from();
    if (data.label().empty()) {
      Mistake("data.label: not given; it names the column of 0 and 1 to predict");
      return;
    }
    owner_[data.label()] = "data.label";
    if (data.group() == data.label()) {
      Mistake("data.group: " + Quote(data.group()) + " is the label; give another column");
    }
    CheckWeights(data);
  }

  void CheckWeights(const Data& data) {
    if (data.weight().empty()) {
      if (data.has_max_weight()) Mistake("data.max_weight: there is no data.weight to bound");
      return;
    }
    if (schema_.largest_weight() > kMaxWeight) {
      Mistake("data.positive_weight: times data.max_weight it is above 1000000; lower one of them");
    }
    if (data.weight() == data.label() || data.weight() == data.group()) {
      Mistake("data.weight: " + Quote(data.weight()) +
              " is the label or the group; give a column of weights");
    }
    owner_.try_emplace(data.weight(), "data.weight");
  }

  // Claims a column for the feature at `place`; false if it has no name or is taken. A number may
  // be bucketized and taken as it is, once each: `shared` are columns that this place may have too.
  bool Claim(const std::string& column, const std::string& place,
             std::set<std::string>* shared = nullptr) {
    if (column.empty()) {
      Mistake(place + ".columns: a column has an empty name");
      return false;
    }
    const auto [it, inserted] = owner_.try_emplace(column, place);
    if (!inserted && shared && shared->erase(column) > 0) return true;
    if (!inserted) {
      Mistake(place + ".columns: " + Quote(column) + " is already used by " + it->second +
              "; a column has one meaning");
    }
    return inserted;
  }

  void CheckNotEmpty(int columns, const std::string& place) {
    if (columns == 0) Mistake(place + ".columns: empty; name at least one column");
  }

  bool InRange(const std::string& place, int value, int most) {
    if (value >= 1 && value <= most) return true;
    Mistake(place + ": " + std::to_string(value) + " is out of range; allowed is 1 to " +
            std::to_string(most));
    return false;
  }

  int AddTable(const std::string& name, int dim, int64_t hash_buckets, const std::string& place) {
    if (name.find('/') != std::string::npos) {
      Mistake(place + ".columns: " + Quote(name) +
              " has a '/', and the model's files are named after their tables; rename the column");
    }
    const int table = static_cast<int>(schema_.tables.size());
    schema_.tables.push_back({name, dim, hash_buckets});
    table_of_[name] = table;
    return table;
  }

  void AddIds(const IdFeature& feature, const std::string& place) {
    CheckNotEmpty(feature.columns_size(), place);
    const int dim = feature.has_dim() ? feature.dim() : kDefaultDim;
    InRange(place + ".dim", dim, kMaxDim);
    for (const std::string& column : feature.columns()) {
      if (!Claim(column, place)) continue;
      Slot slot;
      slot.column = column;
      slot.table = AddTable(column, dim, feature.hash_buckets(), place);
      slot.type = feature.type();
      slot.time = feature.time();
      schema_.slots.push_back(std::move(slot));
    }
  }

  void AddSequence(const SequenceFeature& feature, int group, const std::string& place) {
    const int keep_last = feature.has_keep_last() ? feature.keep_last() : kDefaultKeepLast;
    InRange(place + ".keep_last", keep_last, kMaxKeepLast);
    for (Slot& slot : ListSlots(feature, place)) {
      slot.sequence_group = group;
      slot.keep_last = keep_last;
      schema_.slots.push_back(std::move(slot));
    }
  }

  // Each column is a group of its own: sets need not go in step.
  void AddBag(const BagFeature& feature, int index, const Features& features) {
    const std::string place = At("bag", index);
    const int keep_last = feature.has_keep_last() ? feature.keep_last() : kAll;
    InRange(place + ".keep_last", keep_last, kAll);
    for (Slot& slot : ListSlots(feature, place)) {
      slot.sequence_group = features.sequence_size() + bags_++;
      slot.keep_last = keep_last;
      slot.pooling = feature.pooling();
      schema_.slots.push_back(std::move(slot));
    }
  }

  // What sequences and bags have in common.
  template <class ListFeature>
  std::vector<Slot> ListSlots(const ListFeature& feature, const std::string& place) {
    CheckNotEmpty(feature.columns_size(), place);
    const int dim = feature.has_dim() ? feature.dim() : kDefaultDim;
    InRange(place + ".dim", dim, kMaxDim);
    const bool shared = feature.like_size() > 0;
    if (shared && feature.has_dim()) {
      Mistake(place + ".dim: the tables are shared by `like`; set dim where the id feature is");
    }
    if (shared && feature.has_hash_buckets()) {
      Mistake(place +
              ".hash_buckets: the tables are shared by `like`; set it where the id feature is");
    }
    if (shared && feature.like_size() != feature.columns_size()) {
      Mistake(place + ".like: " + std::to_string(feature.like_size()) + " names for " +
              std::to_string(feature.columns_size()) + " columns; give one for each, or none");
      return {};
    }
    const std::string separator = feature.has_separator() ? feature.separator() : "|";
    if (separator.size() != 1) {
      Mistake(place + ".separator: " + Quote(separator) + " is not one byte");
      return {};
    }
    std::vector<Slot> slots;
    for (int i = 0; i < feature.columns_size(); ++i) {
      if (!Claim(feature.columns(i), place)) continue;
      Slot& slot = slots.emplace_back();
      slot.column = feature.columns(i);
      slot.type = feature.type();
      slot.separator = separator[0];
      slot.table = shared ? SharedTable(feature.like(i), place)
                          : AddTable(slot.column, dim, feature.hash_buckets(), place);
    }
    return slots;
  }

  int SharedTable(const std::string& like, const std::string& place) {
    const auto found = table_of_.find(like);
    if (found != table_of_.end()) return found->second;
    Mistake(place + ".like: no id feature is named " + Quote(like) + "; known: " + KnownTables());
    return 0;
  }

  std::string KnownTables() const {
    std::string text;
    for (const TableColumn& table : schema_.tables) {
      text += (text.empty() ? "" : ", ") + table.name;
    }
    return text.empty() ? "none" : text;
  }

  void CheckBounds(const BucketizeFeature& feature, const std::string& place) {
    if (feature.has_quantiles() == (feature.bounds_size() > 0)) {
      Mistake(place + ": has " +
              (feature.has_quantiles() ? "both bounds and" : "neither bounds nor") +
              " quantiles; give one of the two");
    }
    for (int i = 0; i < feature.bounds_size(); ++i) {
      const double bound = feature.bounds(i);
      if (std::isfinite(bound) && (i == 0 || feature.bounds(i - 1) < bound)) continue;
      Mistake(place + ".bounds: entry " + std::to_string(i + 1) +
              " is not above the one before it; give finite numbers that ascend");
      return;
    }
  }

  void AddBuckets(const BucketizeFeature& feature, const std::string& place) {
    CheckNotEmpty(feature.columns_size(), place);
    CheckBounds(feature, place);
    const int dim = feature.has_dim() ? feature.dim() : kDefaultDim;
    InRange(place + ".dim", dim, kMaxDim);
    for (const std::string& column : feature.columns()) {
      if (!Claim(column, place)) continue;
      bucketized_.insert(column);
      Slot slot;
      slot.column = column;
      slot.table = AddTable(column, dim, 0, place);
      slot.bucket = static_cast<int>(schema_.buckets.size());
      schema_.buckets.push_back(
          {column, {feature.bounds().begin(), feature.bounds().end()}, feature.quantiles()});
      schema_.slots.push_back(std::move(slot));
    }
  }

  // The slot of an id or bucketized column; -1 if there is none.
  int OneIdSlot(const std::string& column) const {
    for (size_t s = 0; s < schema_.slots.size(); ++s) {
      const Slot& slot = schema_.slots[s];
      const bool one_id = slot.sequence_group < 0 && !slot.crossed();
      if (one_id && slot.column == column) return static_cast<int>(s);
    }
    return -1;
  }

  std::vector<std::string> OneIdColumns() const {
    std::vector<std::string> columns;
    for (const Slot& slot : schema_.slots) {
      if (slot.sequence_group < 0 && !slot.crossed()) columns.push_back(slot.column);
    }
    return columns;
  }

  void AddCross(const CrossFeature& feature, const std::string& place) {
    if (feature.columns_size() < 2) Mistake(place + ".columns: name two or more columns to cross");
    const int dim = feature.has_dim() ? feature.dim() : kDefaultDim;
    InRange(place + ".dim", dim, kMaxDim);
    Slot slot;
    for (const std::string& column : feature.columns()) {
      const int part = OneIdSlot(column);
      if (part < 0) {
        const std::vector<std::string> known = OneIdColumns();
        Mistake(place + ".columns: " + Quote(column) + " is no id or bucketize feature" +
                Suggestion(column, known) + "there are " +
                (known.empty() ? "none" : JoinNames(known)));
      } else if (std::find(slot.parts.begin(), slot.parts.end(), part) != slot.parts.end()) {
        Mistake(place + ".columns: " + Quote(column) + " is named twice");
      } else {
        slot.parts.push_back(part);
      }
      if (feature.table().empty()) slot.column += (slot.column.empty() ? "" : "_x_") + column;
    }
    if (!feature.table().empty()) slot.column = feature.table();
    if (slot.parts.empty() || !Claim(slot.column, place)) return;
    slot.table = AddTable(slot.column, dim, feature.hash_buckets(), place);
    schema_.slots.push_back(std::move(slot));
  }

  void AddNumeric(const NumericFeature& feature, const std::string& place) {
    CheckNotEmpty(feature.columns_size(), place);
    for (const std::string& column : feature.columns()) {
      if (!Claim(column, place, &bucketized_)) continue;
      NumericColumn numeric;
      numeric.column = column;
      numeric.transform = feature.transform();
      numeric.scaling = feature.scale();
      if (feature.has_missing()) numeric.missing = feature.missing();
      schema_.numeric.push_back(std::move(numeric));
    }
  }

  Schema schema_;
  std::vector<std::string> mistakes_;
  std::map<std::string, std::string> owner_;       // column -> where it is used
  std::unordered_map<std::string, int> table_of_;  // feature -> its table
  int bags_ = 0;                                   // columns of them so far
  std::set<std::string> bucketized_;               // columns, without those that are numeric too
};

}  // namespace

Result<Schema> MakeSchema(const Data& data, const Features& features) {
  return SchemaBuilder().Build(data, features);
}

}  // namespace trestle
