// Status and Result: how an operating error travels. A bug is a CHECK; an expected outcome is a
// value.
//
// A Status carries its cause as a chain: each layer that adds knowledge (rank, step, peer,
// operation) wraps what it got with `Status::Wrap`. The innermost message says what was found and,
// where a user can do something, the cure; ToString() prints outermost first, joined by ": ".
//
// Thread safety: immutable after construction; copies share the chain.
// Source: the idea of a cause chain is from XGBoost's collective Result.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace trestle {

// Each code has one process exit code (docs/errors.md, ExitCode()).
enum class StatusCode {
  kOk = 0,
  kInternal = 1,           // a broken promise of our own
  kInvalidConfig = 2,      // command line or config
  kInvalidData = 3,        // what an input file holds
  kNotFound = 4,           // a file or name that should exist
  kIoError = 5,            // the system refused a read or write
  kCorrupt = 6,            // a file of our own fails its checks
  kNumeric = 7,            // NaN, infinity or excess in training
  kMismatch = 8,           // ranks that differ in config, version, instruction set or files
  kPeerFailed = 9,         // another rank failed or is gone
  kDeadlineExceeded = 10,  // a wait passed its deadline
  kOutOfMemory = 11,
  kUnsupported = 12,   // asked for something this build or machine has not
  kInUse = 13,         // another run holds the folder
  kInterrupted = 130,  // Ctrl-C, SIGTERM
};

[[nodiscard]] std::string_view StatusCodeName(StatusCode code);
[[nodiscard]] inline int ExitCode(StatusCode code) { return static_cast<int>(code); }

class [[nodiscard]] Status {
 public:
  Status() = default;  // OK
  Status(StatusCode code, std::string message);

  [[nodiscard]] bool ok() const { return chain_ == nullptr; }
  [[nodiscard]] StatusCode code() const;
  // The innermost message: what happened first.
  [[nodiscard]] const std::string& root_message() const;
  // "rank 2, step 17, pull: peer 0: connection closed". "OK" when ok.
  [[nodiscard]] std::string ToString() const;

  // This status with one more layer of context outside; OK stays OK.
  [[nodiscard]] Status Wrap(std::string context) const;

  // Bytes for the wire, and back. The chain's text and the code survive; what Parse returns is
  // from_peer().
  [[nodiscard]] std::string Serialize() const;
  static Status Parse(std::string_view bytes);
  // Whether it was learned from another rank, which is the one to print it.
  [[nodiscard]] bool from_peer() const;

 private:
  struct Link {
    StatusCode code;
    std::string message;
    std::shared_ptr<const Link> cause;
    bool from_peer = false;
  };
  std::shared_ptr<const Link> chain_;
};

namespace internal {
void CheckIsError(const Status& status);               // CHECKs
[[noreturn]] void ValueOfError(const Status& status);  // a CHECK failure that shows the status
}  // namespace internal

// A value or the status that explains its absence. value() on an error is a CHECK failure, and so
// is a Result of an OK status.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}        // NOLINT
  Result(Status status) : state_(std::in_place_index<1>, std::move(status)) {  // NOLINT
    internal::CheckIsError(std::get<1>(state_));
  }

  [[nodiscard]] bool ok() const { return state_.index() == 0; }
  [[nodiscard]] Status status() const { return ok() ? Status() : std::get<1>(state_); }
  T& value() & {
    if (!ok()) internal::ValueOfError(std::get<1>(state_));
    return std::get<0>(state_);
  }
  const T& value() const& { return const_cast<Result*>(this)->value(); }
  T&& value() && { return std::move(value()); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(value()); }

 private:
  std::variant<T, Status> state_;
};

inline Status Ok() { return {}; }

}  // namespace trestle

#define TRESTLE_CONCAT_(a, b) a##b
#define TRESTLE_CONCAT(a, b) TRESTLE_CONCAT_(a, b)

#define TRESTLE_RETURN_IF_ERROR(expression)                                      \
  do {                                                                           \
    if (::trestle::Status trestle_status_ = (expression); !trestle_status_.ok()) \
      return trestle_status_;                                                    \
  } while (false)

// TRESTLE_ASSIGN_OR_RETURN(auto x, MakeX());
#define TRESTLE_ASSIGN_OR_RETURN(declaration, expression) \
  TRESTLE_ASSIGN_OR_RETURN_(TRESTLE_CONCAT(trestle_result_, __LINE__), declaration, expression)
#define TRESTLE_ASSIGN_OR_RETURN_(result, declaration, expression) \
  auto result = (expression);                                      \
  if (!result.ok()) return result.status();                        \
  declaration = std::move(result).value()
