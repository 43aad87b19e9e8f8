#include "launcher/init/init.h"

#include <algorithm>
#include <filesystem>

#include "base/atomic_file.h"
#include "base/nearest_name.h"
#include "launcher/config.h"
#include "launcher/init/config_text.h"
#include "launcher/job_plan.h"
#include "worker/import/source.h"
#include "worker/input_files.h"

namespace trestle {
namespace {

constexpr int64_t kSampleBytes = 16 << 20;

TextFiles TextOf(const InitArguments& arguments) {
  TextFiles text;
  for (const std::string& column : arguments.columns) text.add_columns(column);
  text.set_newlines_in_values(arguments.newlines);
  return text;
}

// A file without a header that has as many fields as Criteo's, and the label that is called so.
Result<Source> OpenFirst(const std::string& path, const std::string& label, TextFiles* text) {
  auto source = OpenSource(path, *text);
  const bool found = source.ok() && std::find(source->columns.begin(), source->columns.end(),
                                              label) != source->columns.end();
  if (found || label != "label" || text->columns_size() > 0) return source;
  TextFiles criteo = *text;
  criteo.set_format(TextFiles::CRITEO);
  TRESTLE_ASSIGN_OR_RETURN(Source as_criteo, OpenSource(path, criteo));
  TRESTLE_ASSIGN_OR_RETURN(const Sample sample, TakeSample(as_criteo, criteo, 64 << 10));
  if (sample.rows == 0 || sample.bad_rows > 0) return source;
  *text = criteo;
  return as_criteo;
}

// "data/ads.csv.gz" -> "ads"
std::string StemOf(const std::string& path) {
  std::string name = std::filesystem::path(path).filename().string();
  return name.substr(0, std::max<size_t>(name.find('.'), 1));
}

Status SetGroup(const std::string& group, GuessedConfig* guessed) {
  if (group.empty()) return {};
  std::vector<std::string> ids;
  for (const GuessedColumn& column : guessed->columns) {
    if (column.guess != Guess::kIntegerId && column.guess != Guess::kStringId) continue;
    ids.push_back(column.profile.name);
  }
  if (std::find(ids.begin(), ids.end(), group) == ids.end()) {
    return {StatusCode::kInvalidConfig, "--group " + group + ": no such id" +
                                            Suggestion(group, ids) + "ids are " + JoinNames(ids)};
  }
  guessed->group = group;
  return {};
}

}  // namespace

Status InitCommand(FileSystem& fs, const InitArguments& arguments, std::ostream& out) {
  InputProblems problems;
  const std::vector<std::string> paths = FindInputFiles(arguments.files, &problems);
  TRESTLE_RETURN_IF_ERROR(problems.ToStatus());
  const std::string path =
      arguments.output.empty() ? StemOf(paths.front()) + ".textproto" : arguments.output;
  if (fs.Exists(path) && !arguments.force) {
    return {StatusCode::kInvalidConfig,
            path + ": exists; choose another --output, or overwrite it with --force"};
  }
  TextFiles text = TextOf(arguments);
  TRESTLE_ASSIGN_OR_RETURN(const Source source, OpenFirst(paths.front(), arguments.label, &text));
  TRESTLE_ASSIGN_OR_RETURN(const Sample sample, TakeSample(source, text, kSampleBytes));
  TRESTLE_ASSIGN_OR_RETURN(GuessedConfig guessed, GuessConfig(sample, arguments.label));
  TRESTLE_RETURN_IF_ERROR(SetGroup(arguments.group, &guessed));
  out << source.path << ": " << sample.rows << " rows looked at, about " << sample.rows_in_file
      << " in the file" << (paths.size() > 1 ? "; the first of " : "")
      << (paths.size() > 1 ? std::to_string(paths.size()) + " files" : "") << "\n\n"
      << GuessTable(guessed) << "\n";
  TRESTLE_RETURN_IF_ERROR(WriteFileAtomically(
      fs, path, ConfigText(guessed, {arguments.files, &sample, &source, &text, path})));
  // What is written must be good: a mistake here is ours.
  TRESTLE_ASSIGN_OR_RETURN(const LoadedConfig loaded, LoadConfig(path, {}, fs));
  TRESTLE_RETURN_IF_ERROR(MakeJobPlan(loaded).status());
  out << "wrote " << path << "; train with: trestle train " << path << "\n";
  return {};
}

}  // namespace trestle
