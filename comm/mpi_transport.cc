#include "comm/mpi_transport.h"

#include <glog/logging.h>
#include <mpi.h>

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
  explicit Impl(size_t large_message_bytes) : large_message_bytes_(large_message_bytes) {}

  Status Init();
  Status Post(int channel, const ExchangeRequest& request);
  std::optional<Status> Poll(int channel, bool* moved);
  std::vector<Rank> Missing(int channel) const;
  Status Finalize();

  int rank = 0;
  int size = 0;

 private:
  // One MPI request of a message: its blocks, or its remainder.
  struct Part {
    Rank peer;
    bool incoming = false;
    MPI_Datatype type = MPI_BYTE;
    size_t bytes = 0;
  };
  struct Channel {
    MPI_Comm comm = MPI_COMM_NULL;
    Operation op;
    std::vector<MPI_Request> requests;
    std::vector<Part> parts;
    size_t pending = 0;
    // Room for MPI_Testsome's answers.
    std::vector<int> indices;
    std::vector<MPI_Status> statuses;
  };

  Status PostMessage(Channel& channel, int tag, Rank peer, bool incoming, void* data, size_t bytes);
  Status PostBytes(Channel& channel, int tag, Rank peer, bool incoming, std::byte* data,
                   size_t bytes);
  Status PostPart(Channel& channel, int tag, const Part& part, int count, void* data);
  Status CheckPart(const Channel& channel, const Part& part, const MPI_Status& status, int error);

  const size_t large_message_bytes_;
  MPI_Datatype block_ = MPI_DATATYPE_NULL;
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
  TRESTLE_RETURN_IF_ERROR(
      FromMpi(MPI_Type_contiguous(kBlockBytes, MPI_BYTE, &block_), "MPI_Type_contiguous"));
  TRESTLE_RETURN_IF_ERROR(FromMpi(MPI_Type_commit(&block_), "MPI_Type_commit"));
  for (Channel& channel : channels_) {
    TRESTLE_RETURN_IF_ERROR(FromMpi(MPI_Comm_dup(MPI_COMM_WORLD, &channel.comm), "MPI_Comm_dup"));
  }
  return {};
}

Status MpiTransport::Impl::Finalize() {
  for (Channel& channel : channels_) {
    TRESTLE_RETURN_IF_ERROR(FromMpi(MPI_Comm_free(&channel.comm), "MPI_Comm_free"));
  }
  TRESTLE_RETURN_IF_ERROR(FromMpi(MPI_Type_free(&block_), "MPI_Type_free"));
  return FromMpi(MPI_Finalize(), "MPI_Finalize");
}

Status MpiTransport::Impl::Post(int index, const ExchangeRequest& request) {
  Channel& channel = channels_[static_cast<size_t>(index)];
  CHECK_EQ(channel.pending, 0u) << "the channel is busy";
  channel.op = request.op;
  channel.requests.clear();
  channel.parts.clear();
  const int tag = static_cast<int>(request.sequence % kTags);
  // Receives first: a message that finds its buffer waiting is not copied twice.
  for (const IncomingMessage& in : request.incoming) {
    TRESTLE_RETURN_IF_ERROR(PostMessage(channel, tag, in.from, true, in.data, in.bytes));
  }
  for (const OutgoingMessage& out : request.outgoing) {
    void* data = const_cast<void*>(out.data);  // one path for both directions; sends only read
    TRESTLE_RETURN_IF_ERROR(PostMessage(channel, tag, out.to, false, data, out.bytes));
  }
  channel.indices.resize(channel.requests.size());
  channel.statuses.resize(channel.requests.size());
  return {};
}

Status MpiTransport::Impl::PostMessage(Channel& channel, int tag, Rank peer, bool incoming,
                                       void* data, size_t bytes) {
  // Both ends cut alike, since they know the same size. Whole blocks, so that only the last part
  // has a remainder.
  const size_t even = (bytes + kMaxParts - 1) / kMaxParts;
  const size_t part_bytes =
      std::max(kPartBytes, (even + kBlockBytes - 1) / kBlockBytes * kBlockBytes);
  size_t at = 0;
  do {
    const size_t now = std::min(part_bytes, bytes - at);
    std::byte* const from = static_cast<std::byte*>(data) + at;
    TRESTLE_RETURN_IF_ERROR(PostBytes(channel, tag, peer, incoming, from, now));
    at += now;
  } while (at < bytes);
  return {};
}

// One message of MPI's; a large one as blocks, and its remainder as a second.
Status MpiTransport::Impl::PostBytes(Channel& channel, int tag, Rank peer, bool incoming,
                                     std::byte* data, size_t bytes) {
  const size_t blocks = bytes >= large_message_bytes_ ? bytes / kBlockBytes : 0;
  const size_t rest = bytes - blocks * kBlockBytes;
  CHECK_LE(blocks, static_cast<size_t>(INT_MAX));
  CHECK_LE(rest, static_cast<size_t>(INT_MAX));
  if (blocks > 0) {
    const Part part{peer, incoming, block_, blocks * kBlockBytes};
    TRESTLE_RETURN_IF_ERROR(PostPart(channel, tag, part, static_cast<int>(blocks), data));
  }
  if (rest == 0 && blocks > 0) return {};
  const Part part{peer, incoming, MPI_BYTE, rest};
  return PostPart(channel, tag, part, static_cast<int>(rest), data + blocks * kBlockBytes);
}

Status MpiTransport::Impl::PostPart(Channel& channel, int tag, const Part& part, int count,
                                    void* data) {
  MPI_Request request = MPI_REQUEST_NULL;
  const int peer = part.peer.value;
  const int error = part.incoming
                        ? MPI_Irecv(data, count, part.type, peer, tag, channel.comm, &request)
                        : MPI_Isend(data, count, part.type, peer, tag, channel.comm, &request);
  if (error != MPI_SUCCESS) return CheckPart(channel, part, MPI_Status{}, error);
  channel.requests.push_back(request);
  channel.parts.push_back(part);
  ++channel.pending;
  return {};
}

std::optional<Status> MpiTransport::Impl::Poll(int index, bool* moved) {
  Channel& channel = channels_[static_cast<size_t>(index)];
  int completed = 0;
  const int error = MPI_Testsome(static_cast<int>(channel.requests.size()), channel.requests.data(),
                                 &completed, channel.indices.data(), channel.statuses.data());
  if (error != MPI_SUCCESS && error != MPI_ERR_IN_STATUS) {
    return FromMpi(error, "MPI_Testsome").Wrap(Describe(Rank{rank}, channel.op));
  }
  *moved = completed > 0;
  for (int i = 0; i < completed; ++i) {
    const MPI_Status& status = channel.statuses[static_cast<size_t>(i)];
    const Part& part = channel.parts[static_cast<size_t>(channel.indices[static_cast<size_t>(i)])];
    const int part_error = error == MPI_ERR_IN_STATUS ? status.MPI_ERROR : MPI_SUCCESS;
    if (Status bad = CheckPart(channel, part, status, part_error); !bad.ok()) return bad;
    --channel.pending;
  }
  if (channel.pending > 0) return std::nullopt;
  return Ok();
}

Status MpiTransport::Impl::CheckPart(const Channel& channel, const Part& part,
                                     const MPI_Status& status, int error) {
  const std::string peer = "rank " + std::to_string(part.peer.value);
  if (error != MPI_SUCCESS) {
    int error_class = MPI_ERR_OTHER;
    MPI_Error_class(error, &error_class);
    if (error_class == MPI_ERR_TRUNCATE) {
      return Status(StatusCode::kInternal,
                    peer + " sent more than the " + std::to_string(part.bytes) + " bytes expected")
          .Wrap(Describe(Rank{rank}, channel.op));
    }
    return FromMpi(error, part.incoming ? "receive" : "send")
        .Wrap(peer)
        .Wrap(Describe(Rank{rank}, channel.op));
  }
  if (!part.incoming) return {};
  MPI_Count received = 0;
  MPI_Get_elements_x(&status, part.type, &received);
  if (static_cast<size_t>(received) == part.bytes) return {};
  return SizeError(Rank{rank}, channel.op, part.peer, part.bytes, static_cast<size_t>(received));
}

std::vector<Rank> MpiTransport::Impl::Missing(int index) const {
  const Channel& channel = channels_[static_cast<size_t>(index)];
  std::vector<Rank> missing;
  for (size_t i = 0; i < channel.requests.size(); ++i) {
    if (channel.requests[i] != MPI_REQUEST_NULL) missing.push_back(channel.parts[i].peer);
  }
  return missing;
}

Result<std::unique_ptr<MpiTransport>> MpiTransport::Init(size_t large_message_bytes) {
  auto impl = std::make_unique<Impl>(large_message_bytes);
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
std::optional<Status> MpiTransport::Poll(int channel, bool* moved) {
  return impl_->Poll(channel, moved);
}
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
