#include "ps/agreement.h"

#include <algorithm>

namespace trestle {

std::string Where(const Operation& op) {
  return (op.step >= 0 ? "step " + std::to_string(op.step) + ", " : std::string()) + op.phase;
}

Status CheckMagic(uint32_t magic, size_t from) {
  if (magic == kWireMagic) return {};
  return {StatusCode::kMismatch, "rank " + std::to_string(from) +
                                     " speaks another version of the protocol; start all ranks "
                                     "with the same program"};
}

Status CheckVerdicts(std::span<const Verdict> verdicts) {
  for (size_t r = 0; r < verdicts.size(); ++r) {
    TRESTLE_RETURN_IF_ERROR(CheckMagic(verdicts[r].magic, r));
  }
  return {};
}

bool AnyVerdict(std::span<const Verdict> verdicts, uint32_t flag) {
  return std::any_of(verdicts.begin(), verdicts.end(),
                     [flag](const Verdict& verdict) { return (verdict.flags & flag) != 0; });
}

Result<std::vector<Verdict>> ExchangeVerdicts(Communicator& comm, const Operation& op,
                                              std::span<const Verdict> own) {
  const size_t ranks = static_cast<size_t>(comm.size());
  std::vector<Verdict> verdicts(ranks);
  std::vector<ConstBuffer> send(ranks);
  std::vector<MutableBuffer> recv(ranks);
  for (size_t r = 0; r < ranks; ++r) {
    send[r] = {&own[r], sizeof(Verdict)};
    recv[r] = {&verdicts[r], sizeof(Verdict)};
  }
  TRESTLE_RETURN_IF_ERROR(comm.AllToAll(op, send, recv));
  TRESTLE_RETURN_IF_ERROR(CheckVerdicts(verdicts).Wrap(Where(op)));
  return verdicts;
}

Status AgreeOnFailure(Communicator& comm, const Operation& op, const Status& local) {
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm, op, local));
  return Status(StatusCode::kInternal, "a rank said that it failed but not why").Wrap(Where(op));
}

}  // namespace trestle
