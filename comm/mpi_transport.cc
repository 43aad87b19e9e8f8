#include "comm/mpi_transport.h"

#include <glog/logging.h>
#include <mpi.h>

#include <algorithm>
#include <array>
#include <climits>
#include <csignal>

namespace trestle {
namespace {

// MPI guarantees tags up to 32,767. Far fewer exchanges of a stream can be under way at once.
constexpr int64_t kTags = 32'768;

std::string ErrorText(int error) {
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(error, text, &length);
  return {text, static_cast<size_t>(length)};
}

Status FromMpi(int error, const char* call) {
  if (error == MPI_SUCCESS) return {};
  return {StatusCode::kPeerFailed, std::string(call) + ": " + ErrorText(error)};
}

}  // namespace

class MpiTransport::Impl {
 public:
  explicit Impl(size_t part_bytes) : part_bytes_(part_bytes) {
    CHECK(part_bytes > 0 && part_bytes <= static_cast<size_t>(INT_MAX));
  }

  Status Init();
  Status Post(int channel, const ExchangeRequest& request);
  Progress Poll(int channel);
  std::vector<Rank> Missing(int channel) const;
  Status Finalize();

  int rank = 0;
  int size = 0;

 private:
  struct Message {
    Rank peer;
    bool incoming = false;
    std::byte* data = nullptr;
    size_t bytes = 0;
    size_t posted = 0;  // bytes of the parts so far
  };
  // What the request of the same index moves.
  struct Part {
    size_t message = 0;
    size_t bytes = 0;
    bool first = false;
  };
  struct Channel {
    MPI_Comm comm = MPI_COMM_NULL;
    Operation op;
    int tag = 0;
    std::vector<Message> messages;
    std::vector<MPI_Request> requests;
    std::vector<Part> parts;
    size_t pending = 0;
    // Room for MPI_Testsome's answers.
    std::vector<int> indices;
    std::vector<MPI_Status> statuses;
  };

  Status PostMessage(Channel& channel, const Message& message);
  // Starts the next part of a message as the request of this index.
  Status PostPart(Channel& channel, size_t index, size_t message);
  size_t NextPartBytes(const Message& message) const;
  Status FinishPart(Channel& channel, size_t index, const MPI_Status& status, int error,
                    bool* flowed);
  Status CheckPart(const Channel& channel, const Part& part, const MPI_Status& status, int error);

  const size_t part_bytes_;
  std::array<Channel, kChannels> channels_;
};

Status MpiTransport::Impl::Init() {
  // A peer that dies closes its socket; that must be an error of a call, not the end of this
  // process.
  std::signal(SIGPIPE, SIG_IGN);
  int provided = MPI_THREAD_SINGLE;
  TRESTLE_RETURN_IF_ERROR(FromMpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided),
                                  "MPI_Init_thread"));
  if (provided < MPI_THREAD_FUNNELED) {
    return {StatusCode::kUnsupported, "this MPI library cannot run in a program with threads"};
  }
  // Duplicates inherit the handler: errors come back as codes.
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  TRESTLE_RETURN_IF_ERROR(FromMpi(MPI_Comm_rank(MPI_COMM_WORLD, &rank), "MPI_Comm_rank"));
  TRESTLE_RETURN_IF_ERROR(FromMpi(MPI_Comm_size(MPI_COMM_WORLD, &size), "MPI_Comm_size"));
  for (Channel& channel : channels_) {
    TRESTLE_RETURN_IF_ERROR(FromMpi(MPI_Comm_dup(MPI_COMM_WORLD, &channel.comm), "MPI_Comm_dup"));
  }
  return {};
}

Status MpiTransport::Impl::Finalize() {
  for (Channel& channel : channels_) {
    TRESTLE_RETURN_IF_ERROR(FromMpi(MPI_Comm_free(&channel.comm), "MPI_Comm_free"));
  }
  return FromMpi(MPI_Finalize(), "MPI_Finalize");
}

Status MpiTransport::Impl::Post(int index, const ExchangeRequest& request) {
  Channel& channel = channels_[static_cast<size_t>(index)];
  CHECK_EQ(channel.pending, 0u) << "the channel is busy";
  channel.op = request.op;
  channel.tag = static_cast<int>(request.sequence % kTags);
  channel.messages.clear();
  channel.requests.clear();
  channel.parts.clear();
  // Receives first: a message that finds its buffer waiting is not copied twice.
  for (const IncomingMessage& in : request.incoming) {
    auto* data = static_cast<std::byte*>(in.data);
    TRESTLE_RETURN_IF_ERROR(PostMessage(channel, {in.from, true, data, in.bytes}));
  }
  for (const OutgoingMessage& out : request.outgoing) {
    // One path for both directions; sends only read.
    auto* data = static_cast<std::byte*>(const_cast<void*>(out.data));
    TRESTLE_RETURN_IF_ERROR(PostMessage(channel, {out.to, false, data, out.bytes}));
  }
  channel.indices.resize(channel.requests.size());
  channel.statuses.resize(channel.requests.size());
  return {};
}

Status MpiTransport::Impl::PostMessage(Channel& channel, const Message& message) {
  const size_t m = channel.messages.size();
  channel.messages.push_back(message);
  const Message& posted = channel.messages.back();
  for (size_t i = 0; i < kPartsUnderWay && (i == 0 || posted.posted < posted.bytes); ++i) {
    channel.requests.push_back(MPI_REQUEST_NULL);
    channel.parts.emplace_back();
    TRESTLE_RETURN_IF_ERROR(PostPart(channel, channel.requests.size() - 1, m));
  }
  return {};
}

// The remainder goes first, so that most disagreements on a size show in the first part.
size_t MpiTransport::Impl::NextPartBytes(const Message& message) const {
  if (message.bytes <= part_bytes_) return message.bytes;
  if (message.posted > 0) return std::min(part_bytes_, message.bytes - message.posted);
  return (message.bytes - 1) % std::min(kFirstPartBytes, part_bytes_) + 1;
}

// MPI keeps the order of parts: messages between two ranks on one communicator with one tag do not
// overtake each other.
Status MpiTransport::Impl::PostPart(Channel& channel, size_t index, size_t m) {
  Message& message = channel.messages[m];
  Part& part = channel.parts[index];
  part = {m, NextPartBytes(message), message.posted == 0};
  std::byte* data = message.data + message.posted;
  const int count = static_cast<int>(part.bytes);
  const int peer = message.peer.value;
  MPI_Request* request = &channel.requests[index];
  const int error =
      message.incoming ? MPI_Irecv(data, count, MPI_BYTE, peer, channel.tag, channel.comm, request)
                       : MPI_Isend(data, count, MPI_BYTE, peer, channel.tag, channel.comm, request);
  if (error != MPI_SUCCESS) return CheckPart(channel, part, MPI_Status{}, error);
  message.posted += part.bytes;
  ++channel.pending;
  return {};
}

MpiTransport::Progress MpiTransport::Impl::Poll(int index) {
  Channel& channel = channels_[static_cast<size_t>(index)];
  int completed = 0;
  const int error = MPI_Testsome(static_cast<int>(channel.requests.size()), channel.requests.data(),
                                 &completed, channel.indices.data(), channel.statuses.data());
  if (error != MPI_SUCCESS && error != MPI_ERR_IN_STATUS) {
    return {FromMpi(error, "MPI_Testsome").Wrap(Describe(Rank{rank}, channel.op))};
  }
  Progress progress;
  for (int i = 0; i < completed; ++i) {
    const MPI_Status& status = channel.statuses[static_cast<size_t>(i)];
    const int part_error = error == MPI_ERR_IN_STATUS ? status.MPI_ERROR : MPI_SUCCESS;
    const auto finished = static_cast<size_t>(channel.indices[static_cast<size_t>(i)]);
    Status bad = FinishPart(channel, finished, status, part_error, &progress.flowed);
    if (!bad.ok()) {
      progress.outcome = std::move(bad);
      return progress;
    }
  }
  if (channel.pending == 0) progress.outcome = Ok();
  return progress;
}

// A small first part that has left says nothing of the peer: MPI may just have copied it.
Status MpiTransport::Impl::FinishPart(Channel& channel, size_t index, const MPI_Status& status,
                                      int error, bool* flowed) {
  const Part part = channel.parts[index];
  TRESTLE_RETURN_IF_ERROR(CheckPart(channel, part, status, error));
  --channel.pending;
  const Message& message = channel.messages[part.message];
  if (message.bytes > part_bytes_ && (message.incoming || !part.first)) *flowed = true;
  return message.posted < message.bytes ? PostPart(channel, index, part.message) : Ok();
}

Status MpiTransport::Impl::CheckPart(const Channel& channel, const Part& part,
                                     const MPI_Status& status, int error) {
  const Message& message = channel.messages[part.message];
  const std::string peer = "rank " + std::to_string(message.peer.value);
  if (error != MPI_SUCCESS) {
    int error_class = MPI_ERR_OTHER;
    MPI_Error_class(error, &error_class);
    if (error_class == MPI_ERR_TRUNCATE) {
      return Status(StatusCode::kInternal, peer + " sent more than the " +
                                               std::to_string(message.bytes) + " bytes expected")
          .Wrap(Describe(Rank{rank}, channel.op));
    }
    return FromMpi(error, message.incoming ? "receive" : "send")
        .Wrap(peer)
        .Wrap(Describe(Rank{rank}, channel.op));
  }
  if (!message.incoming) return {};
  int received = 0;
  MPI_Get_count(&status, MPI_BYTE, &received);
  if (static_cast<size_t>(received) == part.bytes) return {};
  return SizeError(Rank{rank}, channel.op, message.peer, part.bytes, static_cast<size_t>(received));
}

std::vector<Rank> MpiTransport::Impl::Missing(int index) const {
  const Channel& channel = channels_[static_cast<size_t>(index)];
  std::vector<Rank> missing;
  for (size_t i = 0; i < channel.requests.size(); ++i) {
    if (channel.requests[i] == MPI_REQUEST_NULL) continue;
    missing.push_back(channel.messages[channel.parts[i].message].peer);
  }
  return missing;
}

Result<std::unique_ptr<MpiTransport>> MpiTransport::Init(size_t part_bytes) {
  auto impl = std::make_unique<Impl>(part_bytes);
  TRESTLE_RETURN_IF_ERROR(impl->Init());
  return std::unique_ptr<MpiTransport>(new MpiTransport(std::move(impl)));
}

MpiTransport::MpiTransport(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
MpiTransport::~MpiTransport() = default;
Rank MpiTransport::rank() const { return Rank{impl_->rank}; }
int MpiTransport::size() const { return impl_->size; }
Status MpiTransport::Post(int channel, const ExchangeRequest& request) {
  return impl_->Post(channel, request);
}
MpiTransport::Progress MpiTransport::Poll(int channel) { return impl_->Poll(channel); }
std::vector<Rank> MpiTransport::Missing(int channel) const { return impl_->Missing(channel); }
Status MpiTransport::Finalize() { return impl_->Finalize(); }
void MpiTransport::Abort(int exit_code) { MPI_Abort(MPI_COMM_WORLD, exit_code); }

// "Open MPI v4.1.4, package: ..." loses what follows the comma, and the v.
std::string MpiLibraryVersion() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  MPI_Get_library_version(text, &length);
  std::string version(text, static_cast<size_t>(length));
  version = version.substr(0, version.find(','));
  const size_t v = version.find(" v");
  if (v != std::string::npos) version.erase(v + 1, 1);
  return version;
}

}  // namespace trestle
