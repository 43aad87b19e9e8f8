#include "launcher/synth/taobao.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "launcher/synth/output_folder.h"
#include "launcher/synth/taobao_text.h"
#include "worker/metrics_auc.h"

namespace trestle {
namespace {

// Pieces made at a time, each of 256 users or 4,096 ads: what bounds the memory.
constexpr int64_t kPiecesInMemory = 4;
constexpr int64_t kPieceAds = 4096;

constexpr std::string_view kNames[] = {"raw_sample.csv", "ad_feature.csv", "user_profile.csv",
                                       "behavior_log.csv", "oracle.csv"};

constexpr std::string_view kTaobaoOracle = kNames[4];

bool IsTaobaoName(const std::string& name) { return std::ranges::count(kNames, name) > 0; }

// Alibaba's own files have the same names: only those beside an oracle are ours to replace.
Status CheckFolder(FileSystem& fs, const std::string& folder) {
  const auto is_there = [&](std::string_view name) {
    return fs.Exists(folder + "/" + std::string(name));
  };
  const auto found = std::ranges::find_if(kNames, is_there);
  if (found == std::end(kNames) || is_there(kTaobaoOracle)) return {};
  return {StatusCode::kInvalidConfig, folder + " holds " + std::string(*found) + " and no " +
                                          std::string(kTaobaoOracle) +
                                          ", so synth did not write it: choose another folder"};
}

Status CheckSettings(const TaobaoSettings& s) {
  const auto check = [](const char* flag, int64_t value, int64_t low, int64_t high) -> Status {
    if (value >= low && value <= high) return {};
    return {StatusCode::kInvalidConfig, std::string("synth taobao: ") + flag + " " +
                                            std::to_string(value) + " is out of range; allowed: " +
                                            std::to_string(low) + " to " + std::to_string(high)};
  };
  TRESTLE_RETURN_IF_ERROR(check("--rows", s.rows, 10, 10'000'000'000));
  TRESTLE_RETURN_IF_ERROR(check("--users", s.users, 0, 1'000'000'000));
  TRESTLE_RETURN_IF_ERROR(check("--behaviours", s.behaviours, 0, 100'000));
  return check("--categories", s.categories, 1, 1'000'000);
}

class CsvFile {
 public:
  static Result<CsvFile> Create(FileSystem& fs, OutputFolder& folder, std::string_view name,
                                std::string_view header) {
    TRESTLE_ASSIGN_OR_RETURN(auto file, fs.Create(folder.Add(std::string(name))));
    CsvFile made(std::move(file));
    TRESTLE_RETURN_IF_ERROR(made.Append(header));
    return made;
  }
  Status Append(std::string_view text) { return file_->Append(std::as_bytes(std::span(text))); }
  Status Close() { return file_->Close(); }

 private:
  explicit CsvFile(std::unique_ptr<WritableFile> file) : file_(std::move(file)) {}
  std::unique_ptr<WritableFile> file_;
};

// Makes `count` pieces in parallel, a few at a time, and hands them over in order.
template <class Piece>
Status InOrder(int64_t count, ThreadPool& pool, const std::function<Piece(int64_t)>& make,
               const std::function<Status(const Piece&)>& take) {
  std::vector<Piece> pieces(kPiecesInMemory);
  for (int64_t at = 0; at < count; at += kPiecesInMemory) {
    const int64_t here = std::min(kPiecesInMemory, count - at);
    pool.ParallelFor(here, [&](int64_t i, int) { pieces[i] = make(at + i); });
    for (int64_t i = 0; i < here; ++i) TRESTLE_RETURN_IF_ERROR(take(pieces[i]));
  }
  return {};
}

std::string AdLines(const TaobaoModel& model, int64_t piece) {
  std::string text;
  const int64_t end = std::min((piece + 1) * kPieceAds, model.ads());
  for (int64_t i = piece * kPieceAds; i < end; ++i) AppendLine(model.Ad(i), &text);
  return text;
}

Status WriteAds(FileSystem& fs, const TaobaoModel& model, OutputFolder& folder, ThreadPool& pool) {
  TRESTLE_ASSIGN_OR_RETURN(CsvFile file,
                           CsvFile::Create(fs, folder, "ad_feature.csv", kAdFeatureHeader));
  TRESTLE_RETURN_IF_ERROR(
      InOrder<std::string>((model.ads() + kPieceAds - 1) / kPieceAds, pool,
                           [&](int64_t piece) { return AdLines(model, piece); },
                           [&](const std::string& text) { return file.Append(text); }));
  return file.Close();
}

// What is written and counted of a block of users.
struct BlockText {
  std::string profiles, behaviours, impressions, oracle;
  int64_t behaviour_count = 0;
  std::vector<TaobaoImpression> rows;
};

BlockText MakeBlock(const TaobaoModel& model, int64_t block) {
  BlockText made;
  std::vector<std::vector<TaobaoBehaviour>> behaviours;
  for (int64_t user = model.FirstUser(block); user < model.FirstUser(block + 1); ++user) {
    const int64_t id = model.UserId(user);
    if (const auto profile = model.Profile(user)) AppendLine(id, *profile, &made.profiles);
    behaviours.push_back(model.Behaviours(user));
    made.behaviour_count += static_cast<int64_t>(behaviours.back().size());
    for (const TaobaoBehaviour& one : behaviours.back()) AppendLine(id, one, &made.behaviours);
  }
  made.rows = model.Impressions(block, behaviours);
  for (const TaobaoImpression& row : made.rows) {
    AppendLine(row, &made.impressions);
    AppendOracleLine(row, &made.oracle);
  }
  return made;
}

// Sums over all blocks. The best AUC is from a histogram: exact would need the rows in memory.
class Totals {
 public:
  void Add(const BlockText& block) {
    report_.behaviours += block.behaviour_count;
    for (const TaobaoImpression& row : block.rows) {
      ++report_.rows;
      report_.clicks += row.click ? 1 : 0;
      if (row.time < kTaobaoTestDay) continue;
      ++report_.test_rows;
      ++histogram_[static_cast<size_t>(AucBin(row.z)) + (row.click ? size_t{kAucBins} : 0)];
    }
  }
  TaobaoReport Report() const {
    TaobaoReport report = report_;
    report.best_auc = HistogramAuc(histogram_, &report.best_auc_error);
    return report;
  }

 private:
  TaobaoReport report_;
  std::vector<int64_t> histogram_ = std::vector<int64_t>(2 * size_t{kAucBins});
};

Status WriteUsers(FileSystem& fs, const TaobaoModel& model, OutputFolder& folder, ThreadPool& pool,
                  Totals* totals) {
  const auto create = [&](std::string_view name, std::string_view header) {
    return CsvFile::Create(fs, folder, name, header);
  };
  TRESTLE_ASSIGN_OR_RETURN(CsvFile profiles, create("user_profile.csv", kUserProfileHeader));
  TRESTLE_ASSIGN_OR_RETURN(CsvFile behaviours, create("behavior_log.csv", kBehaviorLogHeader));
  TRESTLE_ASSIGN_OR_RETURN(CsvFile samples, create("raw_sample.csv", kRawSampleHeader));
  TRESTLE_ASSIGN_OR_RETURN(CsvFile oracle, create("oracle.csv", kOracleHeader));
  const auto write = [&](const BlockText& block) -> Status {
    TRESTLE_RETURN_IF_ERROR(profiles.Append(block.profiles));
    TRESTLE_RETURN_IF_ERROR(behaviours.Append(block.behaviours));
    TRESTLE_RETURN_IF_ERROR(samples.Append(block.impressions));
    TRESTLE_RETURN_IF_ERROR(oracle.Append(block.oracle));
    totals->Add(block);
    return {};
  };
  TRESTLE_RETURN_IF_ERROR(InOrder<BlockText>(
      model.blocks(), pool, [&](int64_t block) { return MakeBlock(model, block); }, write));
  for (CsvFile* file : {&profiles, &behaviours, &samples, &oracle}) {
    TRESTLE_RETURN_IF_ERROR(file->Close());
  }
  return {};
}

}  // namespace

Result<TaobaoReport> WriteTaobao(FileSystem& fs, const TaobaoSettings& settings,
                                 const std::string& folder, ThreadPool& pool) {
  TRESTLE_RETURN_IF_ERROR(CheckSettings(settings));
  OutputFolder files(fs, folder, IsTaobaoName);
  TRESTLE_RETURN_IF_ERROR(CheckFolder(fs, folder));
  TRESTLE_RETURN_IF_ERROR(files.Open());
  const TaobaoModel model(settings);
  Totals totals;
  TRESTLE_RETURN_IF_ERROR(WriteAds(fs, model, files, pool));
  TRESTLE_RETURN_IF_ERROR(WriteUsers(fs, model, files, pool, &totals));
  TaobaoReport report = totals.Report();
  report.users = model.users();
  report.ads = model.ads();
  TRESTLE_ASSIGN_OR_RETURN(report.replaced_files, files.Finish());
  return report;
}

std::string TaobaoReportText(const TaobaoReport& report, const std::string& folder) {
  std::array<char, 640> text;
  std::snprintf(
      text.data(), text.size(),
      "%s: %ld impressions (%ld of the eighth day) of %ld users and %ld ads, %ld behaviours\n"
      "click rate %.4f, best possible AUC on the eighth day %.4f (oracle.csv; at most %.1g off)\n",
      folder.c_str(), static_cast<long>(report.rows), static_cast<long>(report.test_rows),
      static_cast<long>(report.users), static_cast<long>(report.ads),
      static_cast<long>(report.behaviours),
      static_cast<double>(report.clicks) / static_cast<double>(report.rows), report.best_auc,
      report.best_auc_error);
  if (report.replaced_files == 0) return text.data();
  return text.data() + std::string("replaced ") + std::to_string(report.replaced_files) +
         " files of an earlier call\n";
}

}  // namespace trestle
