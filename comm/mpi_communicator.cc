#include "comm/mpi_communicator.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>

#include "comm/exchange_communicator.h"
#include "comm/mpi_engine.h"
#include "comm/mpi_transport.h"

namespace trestle {
namespace {

// One system call, so that lines of several ranks do not mix.
void PrintLine(const std::string& text) {
  const std::string line = text + "\n";
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
}

class MpiCommunicator final : public ExchangeCommunicator {
 public:
  MpiCommunicator(std::unique_ptr<MpiEngine> engine, CommunicatorOptions options)
      : ExchangeCommunicator(engine->rank(), engine->size(), options), engine_(std::move(engine)) {}

  ~MpiCommunicator() override {
    // A failure was returned to the owner, who reports it; one of Finish is known here alone.
    if (const Status earlier = failure(); !earlier.ok()) engine_->Abort(ExitCode(earlier.code()));
    if (const Status status = engine_->Finish(); !status.ok()) {
      Abort(ExitCode(status.code()), status.ToString());
    }
  }

  void Abort(int exit_code, const std::string& reason) override {
    if (!reason.empty() && !reported_.exchange(true)) PrintLine("trestle: " + reason);
    engine_->Abort(exit_code);
  }

 protected:
  Status Exchange(const ExchangeRequest& request) override { return engine_->Exchange(request); }

 private:
  const std::unique_ptr<MpiEngine> engine_;
  std::atomic<bool> reported_{false};
};

}  // namespace

bool StartedUnderMpi() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMIX_RANK"}) {
    if (std::getenv(name) != nullptr) return true;
  }
  return false;
}

Result<std::unique_ptr<Communicator>> MakeMpiCommunicator(CommunicatorOptions options,
                                                          size_t part_bytes) {
  TRESTLE_ASSIGN_OR_RETURN(std::unique_ptr<MpiEngine> engine,
                           MpiEngine::Start(part_bytes, options.deadline));
  return std::unique_ptr<Communicator>(
      std::make_unique<MpiCommunicator>(std::move(engine), options));
}

std::string MpiVersion() { return MpiLibraryVersion(); }

}  // namespace trestle
