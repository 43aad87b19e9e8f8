#include "launcher/prepare/prepare_import.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <thread>

#include "launcher/format.h"
#include "launcher/job_plan.h"
#include "launcher/prepare/import_lines.h"
#include "launcher/terminal.h"
#include "worker/import/key_counts.h"

namespace trestle {
namespace {

constexpr int64_t kLeastMemory = int64_t{64} << 20;

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

Result<int64_t> ParseMemory(const std::string& text) {
  int64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  const std::string unit(at, end);
  const int shift = unit.empty() ? 0 : unit == "M" ? 20 : unit == "G" ? 30 : -1;
  const bool known = error == std::errc() && shift >= 0 && value > 0;
  if (known && value < int64_t{1} << (50 - shift) && value << shift >= kLeastMemory) {
    return value << shift;
  }
  return Status(StatusCode::kInvalidConfig,
                "--memory " + text + ": expected a size such as 512M or 2G, at least 64M");
}

Status PrepareImport(const LoadedConfig& loaded, const ImportArguments& arguments, FileSystem& fs) {
  TRESTLE_ASSIGN_OR_RETURN(const JobPlan plan, MakeJobPlan(loaded));
  ImportLines lines(stdout, PrintsToTerminal(), Clock::System());
  PrepareOptions options;
  TRESTLE_ASSIGN_OR_RETURN(options.memory_bytes, ParseMemory(arguments.memory));
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
