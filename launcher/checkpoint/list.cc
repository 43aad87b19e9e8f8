// `trestle checkpoint ls`: what is in a run's folder of checkpoints, newest first.
#include <nlohmann/json.hpp>

#include <algorithm>

#include "launcher/checkpoint/commands.h"
#include "launcher/checkpoint/facts.h"
#include "launcher/checkpoint/find.h"
#include "launcher/checkpoint/text.h"
#include "ps/checkpoint/checkpoint_folder.h"
#include "ps/checkpoint/manifest.h"

namespace trestle {
namespace {

struct Listed {
  FoundCheckpoint found;
  Manifest manifest;  // if readable()
  std::string state;  // "complete", "finished", "incomplete"; else the error
  bool best = false;  // of the best evaluation, as the newest one says
  bool readable() const { return found.complete && (state == "complete" || state == "finished"); }
};

Listed Examine(FileSystem& fs, const FoundCheckpoint& found) {
  Listed listed{found, {}, "incomplete"};
  if (!found.complete) return listed;
  auto manifest = ReadManifest(fs, found.path);
  if (!manifest.ok()) {
    listed.state = manifest.status().ToString();
    return listed;
  }
  listed.manifest = std::move(*manifest);
  listed.state = listed.manifest.finished() ? "finished" : "complete";
  return listed;
}

void PrintTable(const std::vector<Listed>& all, std::ostream& out) {
  TextTable table("lrrllrrll",
                  {"NAME", "STEP", "SEGMENT", "EPOCH", "KIND", "ROWS", "SIZE", "DIGEST", "STATE"});
  for (const Listed& one : all) {
    const Manifest& m = one.manifest;
    const std::string name = one.found.name.ToString();
    const std::string step = CountText(one.found.name.step);
    if (!one.readable()) {
      table.Add({name, step, "-", "-", "-", "-", "-", "-", one.state});
      continue;
    }
    table.Add({name, step, std::to_string(m.cursor().segment()), std::to_string(m.cursor().epoch()),
               KindText(m), CountText(RowsOf(m)), BytesText(BytesOf(m)), m.digest(),
               one.state + (one.best ? ", best" : "")});
  }
  table.Print(out);
}

nlohmann::ordered_json ToJson(const Listed& one) {
  nlohmann::ordered_json json = {{"name", one.found.name.ToString()},
                                 {"path", one.found.path},
                                 {"step", one.found.name.step},
                                 {"attempt", one.found.name.attempt},
                                 {"complete", one.found.complete}};
  if (!one.readable()) {
    if (one.found.complete) json["error"] = one.state;
    return json;
  }
  const Manifest& m = one.manifest;
  json["segment"] = m.cursor().segment();
  json["epoch"] = m.cursor().epoch();
  json["base"] = m.base();
  json["rows"] = RowsOf(m);
  json["bytes"] = BytesOf(m);
  json["digest"] = m.digest();
  json["finished"] = m.finished();
  json["best"] = one.best;
  return json;
}

}  // namespace

Status ListCommand(FileSystem& fs, const std::string& path, bool json, std::ostream& out) {
  if (fs.Exists(path + "/" + kManifestName)) {
    return {StatusCode::kInvalidConfig, path +
                                            ": is a checkpoint itself; `trestle checkpoint show "
                                            "DIR` tells about one, ls takes the folder of a run"};
  }
  TRESTLE_ASSIGN_OR_RETURN(const std::string folder, CheckpointsFolder(fs, path));
  TRESTLE_ASSIGN_OR_RETURN(auto found, ListCheckpoints(fs, folder));
  std::reverse(found.begin(), found.end());
  std::vector<Listed> all;
  for (const FoundCheckpoint& one : found) all.push_back(Examine(fs, one));
  const auto newest = std::ranges::find_if(all, &Listed::readable);
  for (Listed& one : all) {
    one.best =
        one.readable() && newest->manifest.evaluations().checkpoint() == one.found.name.ToString();
  }
  if (json) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const Listed& one : all) list.push_back(ToJson(one));
    out << list.dump(1) << "\n";
  } else if (all.empty()) {
    out << "no checkpoints in " << folder << "\n";
  } else {
    PrintTable(all, out);
  }
  return {};
}

}  // namespace trestle
