#include "worker/import/import.h"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>

#include "worker/import/byte_stream.h"
#include "worker/import/cache.h"
#include "worker/import/import_columns.h"
#include "worker/input.h"
#include "worker/input_files.h"

namespace trestle {
namespace {

// data.train, data.test, or another evaluation set.
struct InputSet {
  bool test = false;
  int more = -1;  // index in more_tests
  Patterns patterns;
  std::vector<Source> sources;
  bool blocks = true;  // as they are
};

// A pattern that matches the path alone.
std::string Literal(const std::string& path) {
  std::string pattern;
  for (const char c : path) {
    if (std::string_view("\\*?[").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

// Whether it is the folder or one that it is in.
bool Holds(const std::string& path, const std::string& folder) {
  std::error_code error;
  const auto outer = std::filesystem::weakly_canonical(path, error);
  const auto inner = std::filesystem::weakly_canonical(folder, error);
  return !error &&
         std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end();
}

// The files of a set; data/* matches the cache data/cache too, which is none.
std::vector<std::string> FilesOf(const std::string& cache, InputSet* set, InputProblems* problems) {
  std::vector<std::string> files = FindInputFiles(set->patterns, problems);
  const auto holds_cache = [&](const std::string& path) { return Holds(path, cache); };
  if (std::erase_if(files, holds_cache) == 0) return files;
  set->patterns.clear();
  for (const std::string& file : files) set->patterns.push_back(Literal(file));
  return files;
}

// Looks at the files of a set.
void Look(const Data& data, InputSet* set, InputProblems* problems) {
  for (const std::string& path : FilesOf(data.cache(), set, problems)) {
    auto source = OpenSource(path, data.text());
    if (!source.ok()) {
      problems->Add(source.status());
      continue;
    }
    set->blocks = set->blocks && IsInBlocks(*source);
    set->sources.push_back(*std::move(source));
  }
}

// Where the files of the set go; held-out rows are data.test's.
Patterns& PlaceOf(const InputSet& set, bool test, PreparedInput* input) {
  if (set.more >= 0) return input->more_tests[static_cast<size_t>(set.more)];
  return test ? input->test : input->train;
}

std::string NameOf(const InputSet& set) {
  if (set.more >= 0) return "eval.set";
  return set.test ? "data.test" : "data.train";
}

std::string Gigabytes(int64_t bytes) {
  char text[32];
  const bool large = bytes >= 1'000'000'000;
  std::snprintf(text, sizeof(text), large ? "%.1f GB" : "%.1f MB",
                static_cast<double>(bytes) / (large ? 1e9 : 1e6));
  return text;
}

class Preparer {
 public:
  Preparer(const ImportSettings& settings, const Data& data, const PrepareOptions& options,
           FileSystem& fs)
      : settings_(settings), data_(data), options_(options), fs_(fs), pool_(options.threads) {
    settings_.clear_columns();
    for (const ImportColumn& column : settings.columns()) {
      *(column.slice() ? slices_.Add() : settings_.add_columns()) = column;
    }
    input_.more_tests.resize(options.more_tests.size());
  }

  Result<PreparedInput> Run(const std::vector<InputSet>& sets) {
    TRESTLE_RETURN_IF_ERROR(fs_.MakeDirectories(data_.cache()));
    TRESTLE_ASSIGN_OR_RETURN(const auto lock, LockCache(fs_, data_.cache(), options_.say));
    TRESTLE_ASSIGN_OR_RETURN(manifest_, ReadCacheManifest(fs_, data_.cache()));
    TRESTLE_RETURN_IF_ERROR(RemoveUnlistedParts(fs_, data_.cache(), manifest_));
    DropOtherSettings();
    TRESTLE_RETURN_IF_ERROR(DropChanged());
    TRESTLE_RETURN_IF_ERROR(DecideColumns(sets));
    DropUseless(sets);
    for (const InputSet& set : sets) {
      if (set.blocks) continue;
      TRESTLE_RETURN_IF_ERROR(Use(set));
    }
    for (const InputSet& set : sets) {
      if (set.blocks) PlaceOf(set, set.test, &input_) = set.patterns;
    }
    TRESTLE_ASSIGN_OR_RETURN(input_.in_use, UseCache(fs_, data_.cache()));
    return std::move(input_);
  }

 private:
  using Parts = google::protobuf::RepeatedPtrField<CachePart>;

  void DropOtherSettings() {
    if (google::protobuf::util::MessageDifferencer::Equals(manifest_.settings(), settings_)) return;
    if (manifest_.parts_size() > 0) Say("the settings of the import changed; it starts again");
    const int next_part = manifest_.next_part();
    manifest_.Clear();
    manifest_.set_next_part(next_part);
  }

  // A file that was only touched gets its new time, so that it is hashed this once.
  static bool IsUnchanged(CacheSource* entry) {
    Source now;
    now.path = entry->path();
    if (!StatSource(&now).ok() || now.bytes != entry->bytes()) return false;
    if (now.modified_ns == entry->modified_ns()) return true;
    const auto hash = HashFile(entry->path());
    // If it cannot be read, whoever needs it tells why.
    if (!hash.ok() || *hash != entry->xxh3_128()) return false;
    entry->set_modified_ns(now.modified_ns);
    return true;
  }

  // Names and sizes of its files alone.
  Result<bool> IsWhole(const CachePart& part) const {
    for (const CacheFile& file : part.files()) {
      const std::string path = PartFolder(data_.cache(), part.number()) + "/" + file.name();
      const auto bytes = fs_.Size(path);
      if (bytes.status().code() == StatusCode::kNotFound) return false;
      TRESTLE_RETURN_IF_ERROR(bytes.status());
      if (*bytes != file.bytes()) return false;
    }
    return true;
  }

  Status DropChanged() {
    const std::string before = manifest_.SerializeAsString();
    Parts kept;
    for (CachePart& part : *manifest_.mutable_parts()) {
      TRESTLE_ASSIGN_OR_RETURN(bool unchanged, IsWhole(part));
      if (!unchanged) Say(PartFolder(data_.cache(), part.number()) + " is not as it was written");
      for (CacheSource& source : *part.mutable_sources()) {
        const bool same = IsUnchanged(&source);
        unchanged = unchanged && same;
        if (!same) Say(source.path() + " is not as it was imported");
      }
      if (unchanged) *kept.Add() = part;
    }
    manifest_.mutable_parts()->Swap(&kept);
    if (manifest_.parts().empty()) manifest_.clear_columns();  // decided afresh
    if (manifest_.parts().empty() || manifest_.SerializeAsString() == before) return {};
    return WriteCacheManifest(fs_, data_.cache(), manifest_);
  }

  Status DecideColumns(const std::vector<InputSet>& sets) {
    if (manifest_.columns_size() > 0) return {};
    const Source* first = nullptr;
    InputProblems problems;
    for (const InputSet& set : sets) {
      if (set.blocks) continue;
      const Status known = CheckColumns(ColumnsOf(settings_.columns(), set), set.sources);
      if (!known.ok()) problems.Add(known);
      if (first == nullptr && !set.sources.empty()) first = &set.sources.front();
    }
    TRESTLE_RETURN_IF_ERROR(problems.ToStatus());
    TRESTLE_ASSIGN_OR_RETURN(*manifest_.mutable_columns(), DecideKinds(settings_, *first));
    manifest_.set_format(kCacheFormat);
    *manifest_.mutable_settings() = settings_;
    return {};
  }

  // The columns that its parts have for eval.slices alone: all parts with rows to test on have
  // them.
  ImportColumns SlicesOf(const InputSet& set) const {
    return set.test || settings_.holdout() > 0 ? slices_ : ImportColumns();
  }

  // Test files need no weights, and theirs are not read.
  ImportColumns ColumnsOf(const ImportColumns& features, const InputSet& set) const {
    ImportColumns columns;
    for (const ImportColumn& column : features) {
      if (!set.test || !column.weight()) *columns.Add() = column;
    }
    columns.MergeFrom(SlicesOf(set));
    return columns;
  }

  bool HasSlices(const InputSet& set, const CachePart& part) const {
    const ImportColumns slices = SlicesOf(set);
    return std::all_of(slices.begin(), slices.end(), [&](const ImportColumn& slice) {
      return std::find(part.slices().begin(), part.slices().end(), slice.name()) !=
             part.slices().end();
    });
  }

  // What a set takes of the cache, and which of its files are in none of that: they become one more
  // part behind those.
  struct Choice {
    std::vector<CachePart> parts;
    std::vector<Source> missing;
  };

  bool Fits(const InputSet& set, const CachePart& part) const {
    return part.test() == set.test && HasSlices(set, part);
  }

  static bool IsNamed(const std::set<std::string>& paths, const CachePart& part) {
    return std::all_of(part.sources().begin(), part.sources().end(),
                       [&](const CacheSource& source) { return paths.contains(source.path()); });
  }

  static std::set<std::string> PathsOf(const InputSet& set) {
    std::set<std::string> paths;
    for (const Source& source : set.sources) paths.insert(source.path);
    return paths;
  }

  Choice Choose(const InputSet& set) const {
    return settings_.order() == TIME ? ChooseInOrder(set) : ChooseInAnyOrder(set);
  }

  Choice ChooseInAnyOrder(const InputSet& set) const {
    Choice choice;
    std::set<std::string> wanted = PathsOf(set);
    for (const CachePart& part : manifest_.parts()) {
      if (!Fits(set, part) || !IsNamed(wanted, part)) continue;
      for (const CacheSource& source : part.sources()) wanted.erase(source.path());
      choice.parts.push_back(part);
    }
    for (const Source& source : set.sources) {
      if (wanted.contains(source.path)) choice.missing.push_back(source);
    }
    return choice;
  }

  // Parts whose sources are the next ones, one behind the other. Rows that are held out are the
  // last of all, so that one part has them all or none does.
  Choice ChooseInOrder(const InputSet& set) const {
    Choice choice;
    size_t at = 0;
    while (at < set.sources.size()) {
      const CachePart* longest = nullptr;
      for (const CachePart& part : manifest_.parts()) {
        const bool longer = !longest || part.sources_size() > longest->sources_size();
        if (longer && Fits(set, part) && IsNext(set, at, part)) longest = &part;
      }
      if (!longest) break;
      choice.parts.push_back(*longest);
      at += static_cast<size_t>(longest->sources_size());
    }
    choice.missing.assign(set.sources.begin() + static_cast<std::ptrdiff_t>(at), set.sources.end());
    return choice;
  }

  bool IsNext(const InputSet& set, size_t at, const CachePart& part) const {
    const auto count = static_cast<size_t>(part.sources_size());
    if (count > set.sources.size() - at) return false;
    const bool holdout = !set.test && settings_.holdout() > 0;
    if (holdout && count != set.sources.size()) return false;
    return std::equal(
        part.sources().begin(), part.sources().end(),
        set.sources.begin() + static_cast<std::ptrdiff_t>(at),
        [](const CacheSource& has, const Source& source) { return has.path() == source.path; });
  }

  // What a set would take if it had the order or the slices. All sets have chosen before one
  // imports, which removes what was dropped.
  void DropUseless(const std::vector<InputSet>& sets) {
    std::set<int> chosen;
    for (const InputSet& set : sets) {
      if (set.blocks) continue;
      for (const CachePart& part : Choose(set).parts) chosen.insert(part.number());
    }
    Parts kept;
    for (const CachePart& part : manifest_.parts()) {
      const auto wants = [&](const InputSet& set) {
        return !set.blocks && part.test() == set.test && IsNamed(PathsOf(set), part);
      };
      const auto set = std::find_if(sets.begin(), sets.end(), wants);
      if (chosen.contains(part.number()) || set == sets.end()) {
        *kept.Add() = part;
      } else if (!HasSlices(*set, part)) {
        Say("the cache lacks columns of eval.slices; the files of " + NameOf(*set) +
            " are imported again");
      } else if (settings_.order() == TIME) {
        Say("the files of " + NameOf(*set) +
            " are in another order than the cache, or more rows are to be held out; with order "
            "TIME all are imported again");
      } else {
        *kept.Add() = part;
      }
    }
    manifest_.mutable_parts()->Swap(&kept);
  }

  // Takes the parts of the set, and imports what is in none. Sets before it may have brought some.
  Status Use(const InputSet& set) {
    Choice choice = Choose(set);
    for (const CachePart& part : choice.parts) Take(set, part);
    if (choice.missing.empty()) return {};
    TRESTLE_ASSIGN_OR_RETURN(const CachePart part, Import(set, std::move(choice.missing)));
    Take(set, part);
    ++input_.imported;
    return {};
  }

  Result<CachePart> Import(const InputSet& set, std::vector<Source> sources) {
    const ImportColumns columns = ColumnsOf(manifest_.columns(), set);
    TRESTLE_RETURN_IF_ERROR(CheckColumns(columns, sources));
    int64_t bytes = 0;
    for (const Source& source : sources) bytes += source.bytes;
    Say("importing " + std::to_string(sources.size()) + (sources.size() == 1 ? " file" : " files") +
        OfSet(set) + ", " + Gigabytes(bytes) + ", into " + data_.cache());
    // What the manifest does not list goes first, so that the disk has room for the new part.
    TRESTLE_RETURN_IF_ERROR(WriteCacheManifest(fs_, data_.cache(), manifest_));
    TRESTLE_RETURN_IF_ERROR(RemoveUnlistedParts(fs_, data_.cache(), manifest_));
    TRESTLE_ASSIGN_OR_RETURN(const int number, NextPartNumber(fs_, data_.cache(), manifest_));
    PartRequest request;
    request.sources = std::move(sources);
    request.settings = &settings_;
    request.columns = &columns;
    request.holdout = set.test ? 0 : settings_.holdout();
    request.folder = PartFolder(data_.cache(), number);
    request.memory_bytes = options_.memory_bytes;
    request.progress = options_.progress;
    auto imported = ImportPart(fs_, request, pool_);
    if (!imported.ok()) {
      // A full disk stays full otherwise. If this fails too, the next import removes it.
      (void)RemovePart(fs_, data_.cache(), number);
      return imported.status();
    }
    CachePart part = *std::move(imported);
    part.set_number(number);
    part.set_test(set.test);
    for (const ImportColumn& slice : SlicesOf(set)) part.add_slices(slice.name());
    TRESTLE_RETURN_IF_ERROR(fs_.SyncDirectory(data_.cache()));
    *manifest_.add_parts() = part;
    manifest_.set_next_part(number + 1);
    TRESTLE_RETURN_IF_ERROR(WriteCacheManifest(fs_, data_.cache(), manifest_));
    return part;
  }

  void Take(const InputSet& set, const CachePart& part) {
    for (const CacheFile& file : part.files()) {
      Patterns& files = PlaceOf(set, part.test() || file.holdout(), &input_);
      files.push_back(Literal(PartFolder(data_.cache(), part.number()) + "/" + file.name()));
    }
    const bool known =  // two sets may have one file
        std::any_of(input_.parts.begin(), input_.parts.end(),
                    [&](const CachePart& other) { return other.number() == part.number(); });
    if (!known) input_.parts.push_back(part);
  }

  // Nothing of what a prediction reads, which the config does not name.
  std::string OfSet(const InputSet& set) const {
    return options_.keep_refused ? "" : " of " + NameOf(set);
  }

  void Say(const std::string& text) const {
    if (options_.say) options_.say(text);
  }

  ImportSettings settings_;  // without the columns of slices
  ImportColumns slices_;
  const Data& data_;
  const PrepareOptions& options_;
  FileSystem& fs_;
  ThreadPool pool_;
  CacheManifest manifest_;
  PreparedInput input_;
};

// What a config's files are, and what is wrong with them.
struct LookedAt {
  LookedAt(const Schema& schema, const Data& data, const PrepareOptions& options)
      : settings(SettingsOf(schema, data)) {
    if (settings.ok()) {
      settings->mutable_columns()->MergeFrom(options.more);
      settings->set_keep_refused(options.keep_refused);
    }
    if (options.train || data.holdout() > 0) {
      sets.push_back({false, -1, {data.train().begin(), data.train().end()}, {}, true});
    }
    if (data.test_size() > 0) {
      sets.push_back({true, -1, {data.test().begin(), data.test().end()}, {}, true});
    }
    for (size_t i = 0; i < options.more_tests.size(); ++i) {
      sets.push_back({true, static_cast<int>(i), options.more_tests[i], {}, true});
    }
    for (InputSet& set : sets) {
      Look(data, &set, &problems);
      set.blocks = set.blocks && !(settings.ok() && NeedsImport(*settings));
      blocks = blocks && set.blocks;
    }
  }

  Result<ImportSettings> settings;
  std::vector<InputSet> sets;
  InputProblems problems;
  bool blocks = true;
};

}  // namespace

Result<PreparedInput> PrepareInput(const Schema& schema, const Data& data,
                                   const PrepareOptions& options, FileSystem& fs) {
  const LookedAt looked(schema, data, options);
  if (!looked.blocks) {
    TRESTLE_RETURN_IF_ERROR(looked.settings.status());
    TRESTLE_RETURN_IF_ERROR(looked.problems.ToStatus());
    if (!options.make_cache) return Preparer(*looked.settings, data, options, fs).Run(looked.sets);
    Data elsewhere = data;
    TRESTLE_ASSIGN_OR_RETURN(*elsewhere.mutable_cache(), options.make_cache());
    return Preparer(*looked.settings, elsewhere, options, fs).Run(looked.sets);
  }
  PreparedInput input;  // whoever opens them tells what is wrong with them, and with their columns
  input.more_tests.resize(options.more_tests.size());
  for (const InputSet& set : looked.sets) PlaceOf(set, set.test, &input) = set.patterns;
  return input;
}

namespace {

std::string Join(const google::protobuf::RepeatedPtrField<std::string>& patterns) {
  std::string text;
  for (const std::string& pattern : patterns) text += (text.empty() ? "" : ", ") + pattern;
  return text;
}

// A set that is named must have rows.
Status CheckRows(const PreparedInput& input, const Data& data, const std::string& first_reject) {
  const bool imports[2] = {
      std::any_of(input.parts.begin(), input.parts.end(),
                  [](const CachePart& part) { return !part.test(); }),
      data.test_size() > 0 && std::any_of(input.parts.begin(), input.parts.end(),
                                          [](const CachePart& part) { return part.test(); })};
  const std::string rejected = first_reject.empty() ? "" : "; rejected first: " + first_reject;
  for (const bool test : {false, true}) {
    if (!imports[test] || !(test ? input.test : input.train).empty()) continue;
    return {StatusCode::kInvalidData, std::string(test ? "data.test: " : "data.train: ") +
                                          Join(test ? data.test() : data.train()) +
                                          ": no rows to import" + rejected};
  }
  if (data.holdout() == 0 || !input.test.empty()) return {};
  return {StatusCode::kInvalidData,
          "data.holdout: " + Join(data.train()) +
              " has too few rows to hold out any; raise it, or name files in data.test"};
}

}  // namespace

Status CheckRejected(const PreparedInput& input, const Data& data) {
  int64_t rejected = 0;
  std::string first, where;
  for (const CachePart& part : input.parts) {
    for (const CacheSource& source : part.sources()) rejected += source.rejected();
    if (part.first_reject().empty()) continue;
    if (first.empty()) first = part.first_reject();
    where +=
        (where.empty() ? "" : ", ") + PartFolder(data.cache(), part.number()) + "/rejected.tsv";
  }
  if (rejected <= data.max_bad_rows()) return CheckRows(input, data, first);
  return {
      StatusCode::kInvalidData,
      std::to_string(rejected) + " rows were rejected by the import, data.max_bad_rows allows " +
          std::to_string(data.max_bad_rows()) + "; the first: " + first + " (see " + where + ")"};
}

}  // namespace trestle
