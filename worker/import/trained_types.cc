// How training read the columns of ids, for those who read other files with its model.
#include <algorithm>
#include <optional>

#include "worker/import/cache.h"
#include "worker/import/import.h"
#include "worker/import/import_columns.h"
#include "worker/input.h"
#include "worker/input_files.h"

namespace trestle {
namespace {

bool IsCell(const Slot& slot) { return slot.time == WHOLE && slot.bucket < 0 && !slot.crossed(); }

std::optional<Source> FirstTrainingFile(const Data& data) {
  InputProblems problems;
  const std::vector<std::string> files =
      FindInputFiles({data.train().begin(), data.train().end()}, &problems);
  if (files.empty()) return {};
  auto source = OpenSource(files.front(), data.text());
  if (!source.ok()) return {};
  return *std::move(source);
}

// How the import for training read the columns; empty if nothing tells.
ImportColumns ImportedColumns(const ImportSettings& settings, const std::optional<Source>& first,
                              const Data& data, FileSystem& fs) {
  const auto manifest = ReadCacheManifest(fs, data.cache());
  if (manifest.ok() && manifest->columns_size() > 0) return manifest->columns();
  if (!first || !CheckColumns(settings.columns(), {*first}).ok()) return {};
  const auto decided = DecideKinds(settings, *first);
  return decided.ok() ? *decided : ImportColumns();
}

IdType TypeIn(const ImportColumns& columns, const Slot& slot) {
  const auto column = std::find_if(columns.begin(), columns.end(), [&](const auto& one) {
    return one.name() == slot.column && one.stored_as().empty();
  });
  const CellKind kind = column == columns.end() ? ANY_ID : column->kind();
  if (kind == INTEGER_ID || kind == INTEGER_IDS) return INTEGER;
  return kind == STRING_ID || kind == STRING_IDS ? STRING : ANY;
}

// Per slot, as training read it: in place files have types of their own, whatever the config says.
std::vector<IdType> TrainedTypes(const Schema& schema, const Data& data, FileSystem& fs) {
  std::vector<IdType> types;
  for (const Slot& slot : schema.slots) types.push_back(slot.type);
  const auto settings = SettingsOf(schema, data);
  if (!settings.ok()) return types;
  const std::optional<Source> first = FirstTrainingFile(data);
  if (first && IsInBlocks(*first) && !NeedsImport(*settings)) {
    const auto own = IdTypesOf(schema, first->path);
    return own.ok() ? *own : types;
  }
  const ImportColumns columns = ImportedColumns(*settings, first, data, fs);
  for (size_t s = 0; s < types.size(); ++s) {
    if (types[s] == ANY) types[s] = TypeIn(columns, schema.slots[s]);
  }
  return types;
}

}  // namespace

Schema WithTrainedTypes(const Schema& schema, const Data& data, FileSystem& fs,
                        std::vector<std::string>* unknown) {
  const std::vector<IdType> types = TrainedTypes(schema, data, fs);
  Schema typed = schema;
  for (size_t s = 0; s < types.size(); ++s) {
    if (!IsCell(schema.slots[s])) continue;
    typed.slots[s].type = types[s];
    if (types[s] == ANY) unknown->push_back(schema.slots[s].column);
  }
  return typed;
}

}  // namespace trestle
