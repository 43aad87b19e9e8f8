// The config of a run: protobuf text (config.proto), changed by `--set`, checked. Reading it finds
// every mistake at once, and each is one line with its place:
//
//   configs/din.textproto:7:3: unknown field "epoch" in train; did you mean "epochs"? Fields of ...
//   --set batch.lanes=0: batch.lanes: 0 is out of range; allowed: 1 to 4096
//
// What only another room can judge (whether `like` names a feature, a table's initializer) is
// checked there and comes back with the field's path at the start of each line; WithPlaces puts the
// place before it, so that it reads like the rest.
//
// Thread safety: a LoadedConfig is a plain value. Collective: no; ranks compare ConfigHash.
// Errors: kInvalidConfig, whose root message has one line a mistake; kNotFound, kIoError for the
// file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/filesystem.h"
#include "base/status.h"
#include "launcher/config.pb.h"
#include "launcher/config/places.h"

namespace trestle {

struct LoadedConfig {
  // Effective: with --set applied, and with the defaults that FillDefaults knows.
  Config config;
  std::string path;                    // of the file, as given
  std::vector<std::string> overrides;  // the arguments of --set, in order
  FieldPlaces places;

  // Where a field was set: "configs/din.textproto:12:9" or "--set batch.rows=0". The path is as
  // users write it ("tables[cate_id].dim", "features.id[0].columns[2]"). For a field that is not
  // set: the place of the innermost message around it that is.
  [[nodiscard]] std::string Place(std::string_view field_path) const;
};

// Reads and checks a config. Each override is "a.b=value" (config/override.h).
Result<LoadedConfig> LoadConfig(const std::string& path, const std::vector<std::string>& overrides,
                                FileSystem& fs = FileSystem::Local());

// A status whose lines begin with a field's path ("tables[brand].dim: ..."), with the field's place
// put before each; other lines get the file's name. OK and other codes than kInvalidConfig stay.
[[nodiscard]] Status WithPlaces(const LoadedConfig& config, const Status& status);

// Sets what is not set and does not depend on the machine or on another room: batch, train,
// cluster.deadline_s, checkpoint.dir (runs/<name>), data.cache (data/cache/<name>).
void FillDefaults(const std::string& name, Config* config);

// Deterministic protobuf text: equal for equal configs. What the run's folder keeps.
[[nodiscard]] std::string Canonical(const Config& config);
[[nodiscard]] uint64_t ConfigHash(const Config& config);

// Where the run's checkpoints are.
[[nodiscard]] std::string CheckpointsOf(const Config& config);

}  // namespace trestle
