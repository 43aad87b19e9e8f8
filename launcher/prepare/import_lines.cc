#include "launcher/prepare/import_lines.h"

#include "launcher/format.h"
#include "worker/progress.h"

namespace trestle {
namespace {

constexpr double kLiveEvery_s = 0.1, kPlainEvery_s = 10;

}  // namespace

ImportLines::ImportLines(std::FILE* out, bool live, const Clock& clock)
    : out_(out), live_(live), clock_(clock), start_(clock.Now()), shown_(start_) {}

void ImportLines::Clear() {
  if (line_open_) std::fputs("\r\033[K", out_);
  line_open_ = false;
}

void ImportLines::Say(const std::string& line) {
  Clear();
  std::fprintf(out_, "%s\n", line.c_str());
  std::fflush(out_);
  start_ = shown_ = clock_.Now();
}

std::string ImportLines::Line(const ImportProgress& progress) const {
  const double seconds = Seconds(clock_.Now() - start_);
  std::string line = Format("import %3.0f %%  %.1f MB read  %ld rows written", 100 * progress.share,
                            static_cast<double>(progress.bytes) / 1e6, progress.rows);
  if (progress.share > 0.01) {
    line += "  " + FormatDuration(seconds * (1 - progress.share) / progress.share) + " left";
  }
  return line;
}

void ImportLines::Show(const ImportProgress& progress) {
  const Clock::Duration now = clock_.Now();
  if (Seconds(now - shown_) < (live_ ? kLiveEvery_s : kPlainEvery_s)) return;
  shown_ = now;
  Clear();
  std::fprintf(out_, live_ ? "%s" : "%s\n", Line(progress).c_str());
  std::fflush(out_);
  line_open_ = live_;
}

void ImportLines::End(const PreparedInput& input) {
  if (input.imported == 0) return;
  int64_t rows = 0, rejected = 0;
  const auto parts = static_cast<int64_t>(input.parts.size());
  for (int64_t p = parts - input.imported; p < parts; ++p) {
    for (const CacheSource& source : input.parts[static_cast<size_t>(p)].sources()) {
      rows += source.rows();
      rejected += source.rejected();
    }
  }
  Clear();
  std::fprintf(out_, "imported %ld rows, %ld rejected\n", static_cast<long>(rows),
               static_cast<long>(rejected));
  std::fflush(out_);
}

}  // namespace trestle
