#include "comm/communicator.h"

#include <cstdint>

namespace trestle {
namespace {

// What every member says first: nearly always "OK", in one exchange.
struct Verdict {
  int32_t code = 0;
  uint32_t bytes = 0;  // of the serialized status
};

}  // namespace

Status AgreeOnStatus(Communicator& comm, Operation op, const Status& local) {
  std::string text = local.ok() ? std::string() : local.Serialize();
  const Verdict own{static_cast<int32_t>(local.code()), static_cast<uint32_t>(text.size())};
  TRESTLE_ASSIGN_OR_RETURN(const std::vector<Verdict> all, AllGatherValue(comm, op, own));
  for (int r = 0; r < comm.size(); ++r) {
    const Verdict& verdict = all[static_cast<size_t>(r)];
    if (verdict.code == 0) continue;
    if (comm.rank() != Rank{r}) text.assign(verdict.bytes, '\0');
    TRESTLE_RETURN_IF_ERROR(comm.Broadcast(op, {text.data(), text.size()}, Rank{r}));
    if (comm.rank() == Rank{r}) return local;
    return Status::Parse(text).Wrap("rank " + std::to_string(r));
  }
  return {};
}

bool BreaksTheJob(const Status& status) {
  return status.code() == StatusCode::kPeerFailed || status.code() == StatusCode::kDeadlineExceeded;
}

}  // namespace trestle
