#include "launcher/job_plan.h"

#include <algorithm>
#include <cmath>

#include "worker/import/source.h"

namespace trestle {
namespace {

// Collects statuses into one whose message has a line each.
class Mistakes {
 public:
  void Add(const Status& status) {
    if (status.ok()) return;
    if (!text_.empty()) text_ += '\n';
    text_ += status.ToString();
  }
  Status status() const {
    return text_.empty() ? Status() : Status(StatusCode::kInvalidConfig, text_);
  }

 private:
  std::string text_;
};

// The settings of one table: its entry in `tables`, then what its feature and `optimizer` say.
Table TableSettings(const Config& config, const TableColumn& column) {
  Table table;
  for (const Table& entry : config.tables()) {
    if (entry.name() == column.name) table = entry;
  }
  table.set_name(column.name);
  if (!table.has_dim()) table.set_dim(column.dim);
  if (!table.has_optimizer()) *table.mutable_optimizer() = config.optimizer().embedding();
  return table;
}

void CheckTableNames(const Config& config, const Schema& schema, Mistakes* mistakes) {
  for (const Table& entry : config.tables()) {
    const auto named = [&](const TableColumn& column) { return column.name == entry.name(); };
    if (std::any_of(schema.tables.begin(), schema.tables.end(), named)) continue;
    std::string known;
    for (const TableColumn& column : schema.tables)
      known += (known.empty() ? "" : ", ") + column.name;
    mistakes->Add(
        {StatusCode::kInvalidConfig,
         "tables[" + entry.name() + "].name: no feature has this table; there are " + known});
  }
}

}  // namespace

std::vector<uint64_t> JobPlan::TableSeeds() const {
  std::vector<uint64_t> seeds;
  for (const TableSpec& table : tables) seeds.push_back(table.seed);
  return seeds;
}

BackendOptions JobPlan::Backend(const Config& config, int threads) const {
  return {config.model(), config.optimizer().dense(), inputs, seed, threads, lane_weight,
          config.loss()};
}

Result<JobPlan> MakeJobPlan(const LoadedConfig& loaded) {
  const Config& config = loaded.config;
  JobPlan plan;
  plan.seed = config.train().seed();
  plan.batch_rows = config.batch().rows();
  plan.lanes = config.batch().lanes();
  plan.lane_rows = (plan.batch_rows + plan.lanes - 1) / plan.lanes;

  auto schema = MakeSchema(config.data(), config.features());
  if (!schema.ok()) return WithPlaces(loaded, schema.status());
  plan.schema = *std::move(schema);
  plan.lane_weight = static_cast<int64_t>(
      std::ceil(static_cast<double>(plan.lane_rows) * plan.schema.largest_weight()));
  plan.unit = FixedUnit::ForLaneRows(plan.lane_weight);
  plan.schema.slices = {config.eval().slices().begin(), config.eval().slices().end()};

  Mistakes mistakes;
  mistakes.Add(CheckText(config.data().text()));
  CheckTableNames(config, plan.schema, &mistakes);
  for (TableColumn& column : plan.schema.tables) {
    auto spec = MakeTableSpec(TableSettings(config, column), plan.seed);
    mistakes.Add(spec.status());
    if (!spec.ok()) continue;
    column.dim = spec->dim;
    plan.tables.push_back(*std::move(spec));
  }
  for (const Slot& slot : plan.schema.slots) {
    plan.slot_tables.push_back(slot.table);
    plan.inputs.slots.push_back(
        {slot.column, plan.schema.tables[slot.table].dim, slot.sequence_group, slot.pooling});
  }
  plan.inputs.numeric_width = static_cast<int>(plan.schema.numeric.size());
  mistakes.Add(MakeCpuBackend(plan.Backend(config, 1)).status());
  if (const Status status = mistakes.status(); !status.ok()) return WithPlaces(loaded, status);
  return plan;
}

}  // namespace trestle
