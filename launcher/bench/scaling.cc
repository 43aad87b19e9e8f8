#include "launcher/bench/scaling.h"

#include <glog/logging.h>
#include <sys/prctl.h>

#include <algorithm>
#include <iostream>
#include <utility>

#include "base/atomic_file.h"
#include "launcher/bench/scaling_report.h"
#include "launcher/bench/scaling_run.h"
#include "launcher/bench/scaling_svg.h"
#include "launcher/report_error.h"

namespace trestle {
namespace {

// Whether other sizes are not worth a try after this failure of one.
bool EverySizeFailsSo(StatusCode code) {
  switch (code) {
    case StatusCode::kInvalidConfig:
    case StatusCode::kInvalidData:
    case StatusCode::kNotFound:
    case StatusCode::kIoError:
    case StatusCode::kNumeric:
    case StatusCode::kInterrupted:
      return true;
    default:
      return false;
  }
}

class Scaling {
 public:
  Scaling(FileSystem& fs, const ScalingArguments& arguments, const std::string& program,
          ScalingPlan plan)
      : fs_(fs), arguments_(arguments), program_(program), plan_(std::move(plan)) {
    report_.config = arguments.config;
    report_.weak = arguments.weak;
    report_.held_constant = HeldConstant(plan_, arguments.weak);
  }

  Status Run() {
    std::cout << (arguments_.weak ? "weak" : "strong") << " scaling of " << arguments_.config
              << "; held constant: " << report_.held_constant << "\n"
              << std::flush;
    RunSizes();
    if (report_.points.empty()) return first_failure_;
    std::sort(report_.points.begin(), report_.points.end(),
              [](const ScalingPoint& a, const ScalingPoint& b) { return a.ranks < b.ranks; });
    const Status told = Tell();
    if (first_failure_.code() == StatusCode::kInterrupted) return first_failure_;
    // Worse than a size that failed.
    const Status same = CompareDigests(report_);
    if (!same.ok()) {
      ReportError(same, std::cerr);
      return same;
    }
    return first_failure_.ok() ? told : first_failure_;
  }

 private:
  // A weak scaling begins with the largest size, whose number of steps is that of the others.
  void RunSizes() {
    std::vector<int> sizes = plan_.sizes;
    if (arguments_.weak) std::reverse(sizes.begin(), sizes.end());
    int64_t steps = 0;
    for (const int ranks : sizes) {
      std::cout << "np " << ranks << " ..." << std::endl;
      auto point = RunSize(fs_, plan_, arguments_, program_, ranks, steps, signals_);
      if (!point.ok()) {
        ReportError(point.status(), std::cerr);
        const bool interrupted = point.status().code() == StatusCode::kInterrupted;
        if (first_failure_.ok() || interrupted) first_failure_ = point.status();
        if (EverySizeFailsSo(point.status().code())) return;
        continue;
      }
      if (arguments_.weak) steps = point->steps;
      report_.points.push_back(*std::move(point));
    }
  }

  Status Tell() {
    std::cout << ScalingTable(report_);
    for (const std::string& note : ScalingNotes(report_)) std::cout << note << "\n";
    const auto write = [&](const std::string& name, const std::string& text) {
      return WriteFileAtomically(fs_, plan_.output + "/" + name, text);
    };
    Status written = write("scaling.json", ScalingJson(report_));
    if (written.ok()) written = write("scaling.svg", ScalingSvg(report_));
    if (!written.ok()) {
      ReportError(written, std::cerr);
      return written;
    }
    std::cout << "written to " << plan_.output << ": scaling.json, scaling.svg" << std::endl;
    return {};
  }

  FileSystem& fs_;
  const ScalingArguments& arguments_;
  const std::string& program_;
  const ScalingPlan plan_;
  ScalingReport report_;
  Status first_failure_;  // told already
  SignalQueue signals_;
};

}  // namespace

int BenchScaling(FileSystem& fs, const ScalingArguments& arguments, const std::string& program) {
  // Ranks that a killed mpirun leaves become children of this process, which reaps them.
  PCHECK(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
  auto plan = MakeScalingPlan(arguments);
  if (!plan.ok()) {
    ReportError(plan.status(), std::cerr);
    return ExitCode(plan.status().code());
  }
  return ExitCode(Scaling(fs, arguments, program, *std::move(plan)).Run().code());
}

}  // namespace trestle
