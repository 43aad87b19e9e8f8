// A model's way to disk and back: at any number of servers, and with every kind of damage.
#include "launcher/model_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <mutex>

#include "base/hash.h"
#include "base/partition.h"
#include "base/thread_pool.h"
#include "comm/thread_communicator.h"
#include "launcher/job_plan.h"
#include "tests/support/fault_filesystem.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

using testing::HasSubstr;

constexpr char kConfig[] = R"(data { train: "t.parquet" label: "y" }
features { id { columns: ["item", "user"] dim: 2 } numeric { columns: "price" scale: STANDARD } }
model { base { mlp { units: [2] activation: DICE } } }
optimizer { embedding { adam {} } dense { adam {} } }
train { seed: 3 }
)";

struct Shape {
  int ranks = 1;
  int servers = 0;  // dedicated
};

class ModelStore : public testing::Test {
 protected:
  struct Rank_ {
    Communicator& comm;
    Node& node;
    DenseBackend* backend;  // null on dedicated servers
    Rank leader;
  };
  using Body = std::function<Status(Rank_&)>;

  JobPlan Plan(const std::vector<std::string>& set = {}, const std::string& config = kConfig) {
    auto loaded = LoadConfig(dir_.Write("c.textproto", config), set);
    CHECK(loaded.ok()) << loaded.status().ToString();
    loaded_ = *std::move(loaded);
    auto plan = MakeJobPlan(loaded_);
    CHECK(plan.ok()) << plan.status().ToString();
    return *std::move(plan);
  }

  // Runs `body` on the ranks of a job with an empty model; returns what each rank returned.
  std::vector<Status> RunAll(const Shape& shape, const JobPlan& plan, const Body& body) {
    std::vector<Status> statuses(static_cast<size_t>(shape.ranks));
    const auto roles = AssignRoles(
        shape.servers, std::vector<std::string>(static_cast<size_t>(shape.ranks), "host"));
    const Status ran = RunThreadRanks(
        shape.ranks,
        [&](Communicator& comm) -> Status {
          ThreadPool pool(1);
          TRESTLE_ASSIGN_OR_RETURN(
              auto node, MakeNode(comm, {*roles, plan.tables, plan.slot_tables, plan.unit}, &pool));
          std::unique_ptr<DenseBackend> backend;
          if (node->is_worker()) backend = *MakeCpuBackend(plan.Backend(loaded_.config, 1));
          Rank_ rank{comm, *node, backend.get(), roles->workers.front()};
          statuses[static_cast<size_t>(comm.rank().value)] = body(rank);
          return {};
        },
        {std::chrono::seconds(60)});
    EXPECT_TRUE(ran.ok()) << ran.ToString();
    return statuses;
  }
  // The same, where all ranks must agree on the outcome.
  Status Run(const Shape& shape, const JobPlan& plan, const Body& body) {
    const auto statuses = RunAll(shape, plan, body);
    for (const Status& status : statuses) {
      EXPECT_EQ(status.code(), statuses[0].code()) << status.ToString();
    }
    const auto own = std::find_if(statuses.begin(), statuses.end(),
                                  [](const Status& s) { return !s.from_peer(); });
    EXPECT_NE(own, statuses.end());
    return own == statuses.end() ? statuses[0] : *own;
  }

  // Fills a model with values that depend on `salt`: `rows` rows a table, on the servers that own
  // them, and a dense side.
  static void Fill(Rank_& rank, int rows, uint64_t salt) {
    for (EmbeddingTable* table : rank.node.tables()) {
      std::vector<float> values(static_cast<size_t>(table->spec().dim + table->state_width()));
      for (int i = 0; i < rows; ++i) {
        const Key key{Mix64(salt + static_cast<uint64_t>(i))};
        if (ShardOf(PartitionOf(key), rank.node.server_count()) != rank.node.server_index()) {
          continue;
        }
        for (size_t v = 0; v < values.size(); ++v) {
          values[v] = 0.1f * static_cast<float>(salt + v) + static_cast<float>(i);
        }
        const std::span<const float> all(values);
        const auto dim = static_cast<size_t>(table->spec().dim);
        const Status inserted = table->Insert(
            {key, all.first(dim), all.subspan(dim), salt + static_cast<uint64_t>(i), salt, i});
        EXPECT_TRUE(inserted.ok()) << inserted.ToString();
      }
    }
    if (!rank.backend) return;
    float next = static_cast<float>(salt);
    for (auto& [slice, values] : rank.backend->State()) {
      for (float& value : values) value = next += 0.01f;
    }
  }

  static Result<std::string> DigestOf(Rank_& rank, const JobPlan& plan) {
    return ModelDigest(rank.comm, rank.node, plan.tables, rank.leader,
                       rank.backend ? rank.backend->Digest() : 0);
  }

  Status Save(const Shape& shape, const JobPlan& plan, uint64_t salt, FileSystem& fs,
              std::string* digest, int rows = 300) {
    const ModelInfo info{
        static_cast<int64_t>(salt), true, Canonical(loaded_.config), {{17, 1.5, 0.25, -1, 2}}};
    return Run(shape, plan, [&](Rank_& rank) -> Status {
      Fill(rank, rows, salt);
      TRESTLE_ASSIGN_OR_RETURN(const std::string own, DigestOf(rank, plan));
      if (rank.comm.rank() == rank.leader) *digest = own;
      return SaveModel(rank.comm, fs, folder(), rank.node, plan.tables, rank.backend, rank.leader,
                       info, own);
    });
  }
  std::string MustSave(const Shape& shape, const JobPlan& plan, uint64_t salt, int rows = 300) {
    std::string digest;
    const Status saved = Save(shape, plan, salt, FileSystem::Local(), &digest, rows);
    EXPECT_TRUE(saved.ok()) << saved.ToString();
    return digest;
  }
  Status Load(const Shape& shape, const JobPlan& plan, std::string* digest = nullptr) {
    return Run(shape, plan, [&](Rank_& rank) -> Status {
      TRESTLE_ASSIGN_OR_RETURN(const ModelInfo info, LoadModel(rank.comm, FileSystem::Local(),
                                                               folder(), rank.node, rank.backend));
      EXPECT_TRUE(info.complete);
      EXPECT_EQ(info.config, Canonical(loaded_.config));
      EXPECT_EQ(info.statistics.size(), 1u);
      EXPECT_EQ(info.statistics[0].mean, 1.5);
      EXPECT_EQ(info.statistics[0].std, 0.25);
      TRESTLE_ASSIGN_OR_RETURN(const std::string own, DigestOf(rank, plan));
      if (digest && rank.comm.rank() == rank.leader) *digest = own;
      return {};
    });
  }

  std::string folder() const { return dir_.Join("model"); }
  std::vector<std::string> Files() const {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder())) {
      files.push_back(entry.path().string());
    }
    std::sort(files.begin(), files.end());
    return files;
  }

  TempDir dir_{"model_store"};
  LoadedConfig loaded_;
};

const std::vector<Shape> kShapes = {{1, 0}, {2, 0}, {3, 0}, {2, 1}, {4, 2}, {5, 3}};

TEST_F(ModelStore, LoadsAtAnyNumberOfServersWithTheSameDigest) {
  const JobPlan plan = Plan();
  std::string first;
  for (const Shape& saved : kShapes) {
    std::filesystem::remove_all(folder());
    const std::string digest = MustSave(saved, plan, 5);
    if (first.empty()) first = digest;
    EXPECT_EQ(digest, first);
    EXPECT_EQ(*StoredDigest(FileSystem::Local(), folder()), digest);
    for (const Shape& loaded : kShapes) {
      SCOPED_TRACE(std::to_string(saved.ranks) + "/" + std::to_string(saved.servers) + " to " +
                   std::to_string(loaded.ranks) + "/" + std::to_string(loaded.servers));
      std::string again;
      const Status status = Load(loaded, plan, &again);
      EXPECT_TRUE(status.ok()) << status.ToString();
      EXPECT_EQ(again, digest);
    }
  }
}

TEST_F(ModelStore, TheDigestSeesEveryPartOfAModel) {
  const JobPlan plan = Plan();
  const std::string a = MustSave({1, 0}, plan, 5);
  EXPECT_NE(MustSave({1, 0}, plan, 6), a);
  EXPECT_NE(MustSave({1, 0}, plan, 5, 299), a);
  EXPECT_EQ(MustSave({1, 0}, plan, 5), a);
}

TEST_F(ModelStore, AModelOverAnOlderOneOfMoreServersIsTheNewOne) {
  const JobPlan plan = Plan();
  MustSave({3, 0}, plan, 5);
  const std::string digest = MustSave({1, 0}, plan, 6);
  EXPECT_EQ(Files().size(), 4u) << "2 tables, dense, model.json: nothing of the older one stays";
  std::string loaded;
  EXPECT_TRUE(Load({2, 0}, plan, &loaded).ok());
  EXPECT_EQ(loaded, digest);
}

TEST_F(ModelStore, WithoutModelJsonThereIsNoModel) {
  const JobPlan plan = Plan();
  MustSave({1, 0}, plan, 5);
  std::filesystem::remove(folder() + "/model.json");
  const Status status = Load({2, 1}, plan);
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_THAT(status.ToString(), HasSubstr("no model in " + folder()));
  EXPECT_EQ(StoredDigest(FileSystem::Local(), folder()).status().code(), StatusCode::kNotFound);
}

TEST_F(ModelStore, GarbageInModelJsonIsCorrupt) {
  const JobPlan plan = Plan();
  for (const char* text : {"", "{", "[]", "17", "null", "{}", "\xff\xfe", "{\"format\": 1}",
                           "{\"format\": \"x\", \"step\": 1}"}) {
    dir_.Write("model/model.json", text);
    const Status status = Load({1, 0}, plan);
    EXPECT_EQ(status.code(), StatusCode::kCorrupt) << text;
    EXPECT_THAT(status.ToString(), HasSubstr(folder() + "/model.json: ")) << text;
    EXPECT_EQ(StoredDigest(FileSystem::Local(), folder()).status().code(), StatusCode::kCorrupt);
  }
}

TEST_F(ModelStore, AMissingFileIsNamed) {
  const JobPlan plan = Plan();
  for (const char* name : {"item-00000-of-00001.g1.rows", "dense.g1.f32"}) {
    std::filesystem::remove_all(folder());
    MustSave({1, 0}, plan, 5);
    std::filesystem::remove(folder() + "/" + name);
    EXPECT_THAT(Load({2, 0}, plan).ToString(), HasSubstr(name));
    EXPECT_THAT(StoredDigest(FileSystem::Local(), folder()).status().ToString(), HasSubstr(name));
  }
}

// Every file cut at every byte, and with one bit of every byte flipped.
TEST_F(ModelStore, AnyDamageIsCorruptAndNamesTheFile) {
  const JobPlan plan = Plan();
  MustSave({2, 0}, plan, 5, 3);
  FileSystem& fs = FileSystem::Local();
  ASSERT_EQ(Files().size(), 6u);  // 2 tables of 2 shards, dense, model.json
  const auto expect_corrupt = [&](const std::string& path, const std::string& what) {
    const Status stored = StoredDigest(fs, folder()).status();
    EXPECT_EQ(stored.code(), StatusCode::kCorrupt) << what;
    EXPECT_THAT(stored.ToString(), HasSubstr(path)) << what;
    const Status loaded = Load({1, 0}, plan);
    EXPECT_EQ(loaded.code(), StatusCode::kCorrupt) << what;
    EXPECT_THAT(loaded.ToString(), HasSubstr(path)) << what;
  };
  for (const std::string& path : Files()) {
    const std::string good = *fs.Read(path);
    const auto write = [&](const std::string& text) {
      std::filesystem::remove(path);  // ext4 flushes a file that is truncated and written again
      std::ofstream(path, std::ios::binary).write(text.data(), static_cast<int64_t>(text.size()));
    };
    for (size_t at = 0; at < good.size() && !HasFailure(); ++at) {
      write(good.substr(0, at));
      expect_corrupt(path, path + " cut to " + std::to_string(at) + " bytes");
      std::string flipped = good;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << (at % 8)));
      write(flipped);
      expect_corrupt(path, path + " with byte " + std::to_string(at) + " changed");
    }
    write(good + "x");
    expect_corrupt(path, path + " with a byte more");
    write(good);
  }
  EXPECT_TRUE(Load({1, 0}, plan).ok());
}

TEST_F(ModelStore, AModelOfAnotherConfigIsRefused) {
  MustSave({2, 0}, Plan(), 5);
  const auto refused = [&](const std::vector<std::string>& set,
                           const std::string& config = kConfig) {
    const JobPlan other = Plan(set, config);
    const Status status = Run({2, 1}, other, [&](Rank_& rank) -> Status {
      return LoadModel(rank.comm, FileSystem::Local(), folder(), rank.node, rank.backend).status();
    });
    EXPECT_EQ(status.code(), StatusCode::kInvalidConfig) << status.ToString();
    return status.ToString();
  };
  std::string other_column = kConfig;
  other_column.replace(other_column.find("\"user\""), 6, "\"brand\"");
  EXPECT_THAT(refused({"tables[item].dim=3"}), HasSubstr("table item has dim 2 there and 3 here"));
  EXPECT_THAT(refused({"train.seed=4"}), HasSubstr("another seed"));
  EXPECT_THAT(refused({}, other_column), HasSubstr("it has no table brand"));
  EXPECT_THAT(refused({"optimizer.embedding.sgd.lr=1"}), HasSubstr("another optimizer"));
  EXPECT_THAT(refused({"model.base.mlp.units=3"}), HasSubstr("its network has other parameters"));
}

// A disk that fails at any moment while a model is written over an older one: the folder then holds
// the older one whole, or the newer one.
TEST_F(ModelStore, AFailedWriteLeavesTheOlderModelWhole) {
  const JobPlan plan = Plan();
  const std::string older = MustSave({2, 0}, plan, 5, 20);
  const std::string kept = dir_.Join("older");
  std::filesystem::rename(folder(), kept);
  for (const bool once : {false, true}) {
    int older_kept = 0;
    for (int64_t call = 1;; ++call) {
      std::filesystem::remove_all(folder());
      std::filesystem::copy(kept, folder());
      FaultFileSystem fs(FileSystem::Local(),
                         {.fail_call = call, .only_once = once, .short_write = 3});
      std::string newer;
      const Status saved = Save({2, 0}, plan, 6, fs, &newer, 20);
      const auto stored = StoredDigest(FileSystem::Local(), folder());
      SCOPED_TRACE("call " + std::to_string(call) + ": " + saved.ToString());
      if (saved.ok()) {
        EXPECT_EQ(*stored, newer);
        EXPECT_LT(fs.calls(), call) << "a failure was swallowed";
        EXPECT_GT(call, 10);
        break;
      }
      EXPECT_EQ(saved.code(), StatusCode::kIoError);
      EXPECT_THAT(saved.ToString(), HasSubstr("injected failure"));
      ASSERT_TRUE(stored.ok()) << stored.status().ToString();
      EXPECT_TRUE(*stored == older || *stored == newer);
      older_kept += *stored == older;
    }
    EXPECT_GT(older_kept, 10);
  }
}

TEST_F(ModelStore, AFullDiskIsSaidByAllRanksAndPrintedByOne) {
  const JobPlan plan = Plan();
  FaultFileSystem full(FileSystem::Local(), {.capacity = 1000});
  const ModelInfo info{1, true, "", {}};
  const auto statuses = RunAll({3, 1}, plan, [&](Rank_& rank) -> Status {
    Fill(rank, 300, 5);
    return SaveModel(rank.comm, full, folder(), rank.node, plan.tables, rank.backend, rank.leader,
                     info, "0");
  });
  int printed = 0;
  for (const Status& status : statuses) {
    EXPECT_EQ(status.code(), StatusCode::kIoError);
    EXPECT_THAT(status.ToString(), HasSubstr("no space left"));
    printed += !status.from_peer();
  }
  EXPECT_EQ(printed, 1);
}

}  // namespace
}  // namespace trestle
