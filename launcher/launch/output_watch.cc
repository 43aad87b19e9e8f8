#include "launcher/launch/output_watch.h"

#include <algorithm>

namespace trestle {
namespace {

constexpr size_t kLongestLine = 4096;

// What follows `label`; empty if it is not there.
std::string_view After(std::string_view line, std::string_view label) {
  const size_t at = line.find(label);
  return at == std::string_view::npos ? std::string_view() : line.substr(at + label.size());
}

std::string_view FirstWord(std::string_view text) { return text.substr(0, text.find(' ')); }

std::string_view Trim(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('.') || text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

}  // namespace

void OutputWatch::Add(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    line_.append(part.substr(0, std::min(part.size(), kLongestLine - line_.size())));
    if (end == std::string_view::npos) return;
    Line(line_);
    line_.clear();
    bytes.remove_prefix(end + 1);
  }
}

// The texts are those of Open MPI 4.1 (help-orte*.txt).
void OutputWatch::Line(std::string_view line) {
  if (const auto what = After(line, "trestle: error: "); !what.empty() && error_.empty()) {
    error_ = Trim(what);
  }
  // What was said first is the cause, the rest follows from it.
  if (!died_.empty()) return;
  if (const auto rank = After(line, "noticed that process rank "); !rank.empty()) {
    const auto node = After(rank, " on node "), signal = After(rank, " exited on signal ");
    died_ = "rank " + std::string(FirstWord(rank)) + " on " + std::string(FirstWord(node)) +
            " was killed by signal " + std::string(Trim(signal));
  } else if (const auto name = After(line, "Process name: [["); !name.empty()) {
    rank_of_exit_ = After(name, "],");  // "[[job],rank]"
    rank_of_exit_ = rank_of_exit_.substr(0, rank_of_exit_.find(']'));
  } else if (const auto code = Trim(After(line, "Exit code:"));
             !code.empty() && !rank_of_exit_.empty()) {
    died_ = "rank " + rank_of_exit_ + " ended with code " + std::string(code);
  } else if (const auto daemon = After(line, "Remote daemon:"); !daemon.empty()) {
    died_ = std::string(Trim(After(daemon, " on node "))) + " was lost";
  }
}

}  // namespace trestle
