#include "launcher/run.h"

#include <iostream>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "base/filesystem.h"
#include "base/thread_pool.h"
#include "comm/mpi_communicator.h"
#include "comm/thread_communicator.h"
#include "launcher/job.h"
#include "launcher/report_error.h"
#include "launcher/signals.h"
#include "ps/checkpoint/store_filesystem.h"

namespace trestle {
namespace {

constexpr Operation kStart{Stream::kControl, "starting"};

Result<std::unique_ptr<Communicator>> MakeCommunicator(const Result<LoadedConfig>& config) {
  CommunicatorOptions options;
  if (config.ok()) options.deadline = std::chrono::seconds(config->config.cluster().deadline_s());
  if (StartedUnderMpi()) return MakeMpiCommunicator(options);
  return std::move(MakeThreadCommunicators(1, options).front());
}

template <class Body>
Status RunJob(const Result<LoadedConfig>& config, Body body) {
  const StopSignals signals;  // before MPI's threads start
  UseOneOpenMpThread();
  auto comm = MakeCommunicator(config);
  Status status = comm.status();
  if (comm.ok()) status = AgreeOnStatus(**comm, kStart, config.status());
  const auto files = MakeStoreFileSystem(FileSystem::Local());
  std::optional<Job> job;
  if (status.ok()) status = body(job.emplace(**comm, *config, *files, Clock::System()));
  if (!status.ok() && !status.from_peer()) ReportError(status, std::cerr);
  // Other ranks may be waiting for this one: they are ended. Before the job goes, which would wait
  // for a checkpoint's writer, on a disk that may hang.
  if (comm.ok() && BreaksTheJob(status))
    (*comm)->Abort(ExitCode(status.code()), "");  // reported already
  return status;
}

}  // namespace

Status RunTrain(const RunOptions& options) {
  return RunJob(options.config, [&](Job& job) { return job.Train(options.start); });
}

Status RunEval(const RunOptions& options) {
  return RunJob(options.config,
                [&](Job& job) { return job.Evaluate(options.checkpoint, options.importance); });
}

Status RunPredict(const RunOptions& options) {
  return RunJob(options.config, [&](Job& job) { return job.Predict(options.predict); });
}

}  // namespace trestle
