#include "launcher/prepare/prepare_import.h"

#include <algorithm>
#include <cstdio>
#include <thread>

#include "launcher/format.h"
#include "launcher/job_plan.h"
#include "launcher/prepare/import_lines.h"
#include "launcher/terminal.h"
#include "worker/import/key_counts.h"

namespace trestle {
namespace {

constexpr uint64_t kLeastMemory = uint64_t{64} << 20;

void PrintPart(const CachePart& part) {
  for (const CacheSource& source : part.sources()) {
    std::printf("%s  %ld rows, %ld rejected\n", source.path().c_str(),
                static_cast<long>(source.rows()), static_cast<long>(source.rejected()));
  }
  for (const CacheNumeric& n : part.numeric()) {
    std::printf("  %s  %ld cells, %ld missing, mean %.6g, deviation %.6g, %.6g to %.6g\n",
                n.column().c_str(), static_cast<long>(n.count()), static_cast<long>(n.missing()),
                n.mean(), n.std(), n.min(), n.max());
  }
}

}  // namespace

Status PrepareImport(const LoadedConfig& loaded, const ImportArguments& arguments, FileSystem& fs) {
  if (arguments.memory < kLeastMemory) {
    return {StatusCode::kInvalidConfig, "--memory: at least 64MB"};
  }
  TRESTLE_ASSIGN_OR_RETURN(const JobPlan plan, MakeJobPlan(loaded));
  ImportLines lines(stdout, PrintsToTerminal(), Clock::System());
  PrepareOptions options;
  for (const EvaluationSet& set : loaded.config.eval().set()) {
    options.more_tests.emplace_back(set.files().begin(), set.files().end());
  }
  options.memory_bytes = static_cast<int64_t>(arguments.memory);
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  options.threads = arguments.threads > 0 ? arguments.threads : cores;
  options.say = [&](const std::string& text) { lines.Say(text); };
  options.progress = [&](const ImportProgress& progress) { lines.Show(progress); };
  TRESTLE_ASSIGN_OR_RETURN(const PreparedInput input,
                           PrepareInput(plan.schema, loaded.config.data(), options, fs));
  lines.End(input);
  for (const CachePart& part : input.parts) PrintPart(part);
  if (input.parts.empty()) std::printf("nothing to import: the files hold blocks already\n");
  TRESTLE_RETURN_IF_ERROR(CheckRejected(input, loaded.config.data()));
  if (!arguments.key_counts) return {};
  const std::string folder = loaded.config.data().cache() + "/key-counts";
  lines.Say("counting keys into " + folder);
  ThreadPool pool(options.threads);
  return WriteKeyCounts(plan.schema, {input.train, plan.TableSeeds()}, folder, options.memory_bytes,
                        pool, fs);
}

}  // namespace trestle
