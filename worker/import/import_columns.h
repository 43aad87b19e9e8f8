// What is imported: the columns that the config's features name, and what their cells are.
//
// Thread safety: pure, but for reading. Errors: kInvalidConfig, kInvalidData with the file and what
// it lacks; all of them at once.
#pragma once

#include <vector>

#include "base/status.h"
#include "worker/import/cache.pb.h"
#include "worker/import/row_reader.h"
#include "worker/import/source.h"
#include "worker/schema.h"

namespace trestle {

// Of a config; ids whose type it leaves open are ANY_ID and ANY_IDS.
Result<ImportSettings> SettingsOf(const Schema& schema, const Data& data);

// Whether files that hold blocks already need the import for the sake of a setting.
bool NeedsImport(const ImportSettings& settings);

// The columns with every kind decided, by the first rows of the first source: INTEGER where all
// cells that are not missing, at least one, are integers, else STRING.
Result<ImportColumns> DecideKinds(const ImportSettings& settings, const Source& source);

// Whether each source has the columns.
Status CheckColumns(const ImportColumns& columns, const std::vector<Source>& sources);

}  // namespace trestle
