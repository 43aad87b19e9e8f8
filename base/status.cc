#include "base/status.h"

#include <glog/logging.h>

#include <charconv>
#include <cstdlib>
#include <vector>

namespace trestle {

std::string_view StatusCodeName(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return "ok";
    case StatusCode::kInternal:
      return "internal error";
    case StatusCode::kInvalidConfig:
      return "invalid config";
    case StatusCode::kInvalidData:
      return "invalid data";
    case StatusCode::kNotFound:
      return "not found";
    case StatusCode::kIoError:
      return "input/output error";
    case StatusCode::kCorrupt:
      return "corrupt file";
    case StatusCode::kNumeric:
      return "numeric error";
    case StatusCode::kMismatch:
      return "ranks differ";
    case StatusCode::kPeerFailed:
      return "peer failed";
    case StatusCode::kDeadlineExceeded:
      return "deadline exceeded";
    case StatusCode::kOutOfMemory:
      return "out of memory";
    case StatusCode::kUnsupported:
      return "unsupported";
    case StatusCode::kInUse:
      return "in use";
    case StatusCode::kInterrupted:
      return "interrupted";
  }
  return "unknown";
}

Status::Status(StatusCode code, std::string message) {
  CHECK(code != StatusCode::kOk) << "an OK status has no message: " << message;
  chain_ = std::make_shared<Link>(Link{code, std::move(message), nullptr, false});
}

StatusCode Status::code() const { return chain_ ? chain_->code : StatusCode::kOk; }

bool Status::from_peer() const { return chain_ && chain_->from_peer; }

const std::string& Status::root_message() const {
  static const std::string empty;
  const Link* link = chain_.get();
  if (!link) return empty;
  while (link->cause) link = link->cause.get();
  return link->message;
}

std::string Status::ToString() const {
  if (ok()) return "OK";
  std::string text;
  for (const Link* link = chain_.get(); link; link = link->cause.get()) {
    if (!text.empty()) text += ": ";
    text += link->message;
  }
  return text;
}

Status Status::Wrap(std::string context) const {
  if (ok()) return {};
  Status outer;
  outer.chain_ =
      std::make_shared<Link>(Link{chain_->code, std::move(context), chain_, chain_->from_peer});
  return outer;
}

// Layout: decimal code, then for each link, outermost first, a NUL and its message.
std::string Status::Serialize() const {
  std::string bytes = std::to_string(static_cast<int>(code()));
  for (const Link* link = chain_.get(); link; link = link->cause.get()) {
    bytes += '\0';
    bytes += link->message;
  }
  return bytes;
}

Status Status::Parse(std::string_view bytes) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0; begin <= bytes.size();) {
    const size_t end = std::min(bytes.find('\0', begin), bytes.size());
    parts.push_back(bytes.substr(begin, end - begin));
    begin = end + 1;
  }
  int code = static_cast<int>(StatusCode::kInternal);
  std::from_chars(parts[0].data(), parts[0].data() + parts[0].size(), code);
  if (code == 0) return {};
  Status status;
  std::string root = parts.size() == 1 ? "(no message)" : std::string(parts.back());
  status.chain_ =
      std::make_shared<Link>(Link{static_cast<StatusCode>(code), std::move(root), nullptr, true});
  for (size_t i = parts.size() - 1; i-- > 1;) status = status.Wrap(std::string(parts[i]));
  return status;
}

namespace internal {

void CheckIsError(const Status& status) {
  CHECK(!status.ok()) << "a Result needs a value or an error";
}

void ValueOfError(const Status& status) {
  LOG(FATAL) << "the value of a Result that is an error: " << status.ToString();
  abort();
}

}  // namespace internal

}  // namespace trestle
