#include "ps/node.h"

#include <glog/logging.h>

#include <optional>
#include <string>
#include <utility>

#include "ps/dedicated_server.h"
#include "ps/exchange.h"

namespace trestle {
namespace {

class ExchangeClient final : public Client {
 public:
  explicit ExchangeClient(Exchange& exchange) : exchange_(exchange) {}

  Result<std::unique_ptr<Lookup>> Prepare(const StepHeader& header, std::vector<LaneKeys> lanes,
                                          const Status& local) override {
    TRESTLE_ASSIGN_OR_RETURN(auto lookup, exchange_.Prepare(&header, std::move(lanes), local));
    return std::unique_ptr<Lookup>(std::move(lookup));
  }
  Status Pull(Lookup& lookup) override { return exchange_.Pull(Own(lookup)); }
  Result<PushOutcome> Push(Lookup& lookup, bool bad, const Status& local) override {
    return exchange_.Push(Own(lookup), bad, local);
  }

 private:
  static StepLookup& Own(Lookup& lookup) {
    auto* const own = dynamic_cast<StepLookup*>(&lookup);
    CHECK(own) << "a Lookup of another Client";
    return *own;
  }
  Exchange& exchange_;
};

class ExchangeNode final : public Node {
 public:
  ExchangeNode(Communicator& comm, std::shared_ptr<const Topology> topology,
               std::function<Status(const AgreedHeader&)> at_boundary,
               std::vector<std::unique_ptr<EmbeddingTable>> tables, ThreadPool* pool)
      : topology_(topology),
        at_boundary_(std::move(at_boundary)),
        tables_(std::move(tables)),
        exchange_(comm, std::move(topology), tables_, pool),
        client_(exchange_) {}

  bool is_server() const override { return topology_->is_server(); }
  bool is_worker() const override { return topology_->is_worker(); }
  Client& client() override {
    CHECK(is_worker()) << "a dedicated server has no client";
    return client_;
  }
  std::vector<EmbeddingTable*> tables() override {
    std::vector<EmbeddingTable*> tables;
    for (const auto& table : tables_) tables.push_back(table.get());
    return tables;
  }
  int server_index() const override { return topology_->server_index(); }
  int server_count() const override { return static_cast<int>(topology_->servers.size()); }
  Status Serve() override {
    CHECK(is_server() && !is_worker()) << "Serve is a dedicated server's";
    return DedicatedServer(exchange_, at_boundary_).Run();
  }

 private:
  const std::shared_ptr<const Topology> topology_;
  const std::function<Status(const AgreedHeader&)> at_boundary_;
  const std::vector<std::unique_ptr<EmbeddingTable>> tables_;
  Exchange exchange_;
  ExchangeClient client_;
};

Topology MakeTopology(const Communicator& comm, const NodeOptions& options) {
  Topology topology;
  topology.rank = comm.rank();
  topology.ranks = comm.size();
  topology.servers = options.roles.servers;
  topology.workers = options.roles.workers;
  topology.unit = options.unit;
  topology.fail_bad_steps = options.fail_bad_steps;
  topology.checkpoint_votes = options.checkpoint_votes;
  topology.stop_requested = options.stop_requested;
  CHECK(!topology.servers.empty() && !topology.workers.empty());
  const auto index = [&](const std::vector<Rank>& members) {
    std::vector<int> of(static_cast<size_t>(comm.size()), -1);
    for (size_t i = 0; i < members.size(); ++i) {
      of.at(static_cast<size_t>(members[i].value)) = static_cast<int>(i);
    }
    return of;
  };
  topology.server_of = index(topology.servers);
  topology.worker_of = index(topology.workers);
  CHECK(topology.is_server() || topology.is_worker()) << "rank " << comm.rank().value;
  for (const TableSpec& spec : options.tables) {
    CHECK_GE(spec.dim, 1) << "table " << spec.name;
    topology.dims.push_back(spec.dim);
    topology.table_names.push_back(spec.name);
  }
  topology.table_slots.resize(topology.tables());
  topology.slot_tables = options.slot_tables;
  for (size_t slot = 0; slot < options.slot_tables.size(); ++slot) {
    std::vector<int>& slots =
        topology.table_slots.at(static_cast<size_t>(options.slot_tables[slot]));
    topology.slot_position.push_back(static_cast<int>(slots.size()));
    slots.push_back(static_cast<int>(slot));
  }
  return topology;
}

}  // namespace

Result<std::unique_ptr<Node>> MakeNode(Communicator& comm, NodeOptions options, ThreadPool* pool) {
  auto topology = std::make_shared<const Topology>(MakeTopology(comm, options));
  std::vector<std::unique_ptr<EmbeddingTable>> tables;
  for (const TableSpec& spec : options.tables) {
    if (!topology->is_server()) break;
    TRESTLE_ASSIGN_OR_RETURN(auto table, options.make_table(spec, pool));
    tables.push_back(std::move(table));
  }
  TRESTLE_RETURN_IF_ERROR(comm.SetMembers(Stream::kDense, options.roles.workers));
  return std::unique_ptr<Node>(std::make_unique<ExchangeNode>(
      comm, std::move(topology), std::move(options.at_boundary), std::move(tables), pool));
}

}  // namespace trestle
