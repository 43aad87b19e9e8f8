// `trestle checkpoint export` and `compact`: what is written is what was there.
#include <arrow/api.h>
#include <arrow/io/file.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <parquet/arrow/reader.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <sstream>

#include "launcher/checkpoint/commands.h"
#include "ps/checkpoint/checkpoint_reader.h"
#include "ps/checkpoint/store_filesystem.h"
#include "tests/launcher/checkpoint_model.h"
#include "tests/support/fault_filesystem.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr CheckpointName kBase{10, 1};
constexpr CheckpointName kDelta{20, 1};

class CheckpointExport : public ::testing::Test {
 protected:
  // A delta on a base, so that the order of rows is not that of the files.
  CheckpointExport() {
    WriteCheckpoint(fs_, Folder(), SmallModel(10), kBase, 2);
    model_ = SmallModel(10);
    model_.cursor.set_step(20);
    for (auto& [key, row] : model_.tables[0].rows) {
      if (key % 3 == 0) row.weights[0] += 100, row.last_step = 15;
    }
    model_.tables[0].rows[17] = model_.tables[0].rows.at(0);
    path_ = WriteCheckpoint(fs_, Folder(), model_, kDelta, 3, &kBase);
  }
  std::string Folder() const { return dir_.Join("run/checkpoints"); }

  Status Export(const ExportRequest& request) { return ExportTo(fs_, request); }
  Status ExportTo(FileSystem& fs, const ExportRequest& request) {
    std::ostringstream out;
    return ExportCommand(fs, path_, request, out);
  }
  void ExpectInvalid(const ExportRequest& request, const std::string& text) {
    const Status status = Export(request);
    EXPECT_EQ(status.code(), StatusCode::kInvalidConfig);
    EXPECT_THAT(status.ToString(), HasSubstr(text));
  }

  FileSystem& fs_ = FileSystem::Local();
  TempDir dir_{"export"};
  CheckpointModel model_;
  std::string path_;
};

// Keys of a table as exports order them.
std::vector<uint64_t> KeysInOrder(const ModelTable& table) {
  std::map<uint64_t, uint64_t> keys;
  for (const auto& [key, row] : table.rows) keys[Mix64(key)] = key;
  std::vector<uint64_t> ordered;
  for (const auto& [mixed, key] : keys) ordered.push_back(key);
  return ordered;
}

std::vector<float> WeightsInOrder(const ModelTable& table) {
  std::vector<float> weights;
  for (const uint64_t key : KeysInOrder(table)) {
    const auto& row = table.rows.at(key).weights;
    weights.insert(weights.end(), row.begin(), row.end());
  }
  return weights;
}

template <class T>
std::vector<T> ValuesOf(const std::string& bytes, size_t begin, size_t end) {
  std::vector<T> values((end - begin) / sizeof(T));
  std::memcpy(values.data(), bytes.data() + begin, end - begin);
  return values;
}

std::shared_ptr<arrow::Table> ReadParquet(const std::string& path) {
  auto file = arrow::io::ReadableFile::Open(path).ValueOrDie();
  auto reader = parquet::arrow::OpenFile(file, arrow::default_memory_pool()).ValueOrDie();
  return reader->ReadTable().ValueOrDie()->CombineChunks().ValueOrDie();
}

template <class Array>
auto Cell(const arrow::Table& table, const std::string& column, int64_t row) {
  return static_cast<const Array&>(*table.GetColumnByName(column)->chunk(0)).Value(row);
}

TEST_F(CheckpointExport, ParquetReadsBackByArrow) {
  ASSERT_TRUE(Export({"parquet", dir_.Join("out"), {}, false}).ok());
  for (const ModelTable& expected : model_.tables) {
    const auto table = ReadParquet(dir_.Join("out/" + expected.name + ".parquet"));
    ASSERT_EQ(table->num_rows(), static_cast<int64_t>(expected.rows.size()));
    const std::vector<uint64_t> keys = KeysInOrder(expected);
    for (int64_t i = 0; i < table->num_rows(); ++i) {
      const ModelRow& row = expected.rows.at(keys[static_cast<size_t>(i)]);
      EXPECT_EQ(Cell<arrow::UInt64Array>(*table, "key", i), keys[static_cast<size_t>(i)]);
      EXPECT_EQ(Cell<arrow::UInt64Array>(*table, "occurrences", i), row.occurrences);
      EXPECT_EQ(Cell<arrow::UInt64Array>(*table, "samples", i), row.samples);
      EXPECT_EQ(Cell<arrow::Int64Array>(*table, "last_step", i), row.last_step);
      const auto& lists =
          static_cast<const arrow::ListArray&>(*table->GetColumnByName("weights")->chunk(0));
      const auto values = std::static_pointer_cast<arrow::FloatArray>(lists.value_slice(i));
      EXPECT_EQ(std::vector<float>(values->raw_values(), values->raw_values() + values->length()),
                row.weights);
    }
  }
}

TEST_F(CheckpointExport, NpyIsWhatNumpyExpects) {
  ASSERT_TRUE(Export({"npy", dir_.Join("out"), {}, false}).ok());
  const ModelTable& item = model_.tables[0];
  const std::string keys = fs_.Read(dir_.Join("out/item/keys.npy")).value();
  const std::string weights = fs_.Read(dir_.Join("out/item/weights.npy")).value();
  for (const std::string& file : {keys, weights}) {
    EXPECT_EQ(file.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
    const size_t size =
        static_cast<unsigned char>(file[8]) + 256u * static_cast<unsigned char>(file[9]);
    EXPECT_EQ((10 + size) % 64, 0u);
    EXPECT_EQ(file[10 + size - 1], '\n');
  }
  EXPECT_THAT(keys, HasSubstr("{'descr': '<u8', 'fortran_order': False, 'shape': (301,), }"));
  EXPECT_THAT(weights, HasSubstr("{'descr': '<f4', 'fortran_order': False, 'shape': (301, 4), }"));
  EXPECT_EQ(ValuesOf<uint64_t>(keys, 128, keys.size()), KeysInOrder(item));
  EXPECT_EQ(ValuesOf<float>(weights, 128, weights.size()), WeightsInOrder(item));
  EXPECT_TRUE(fs_.Exists(dir_.Join("out/user/weights.npy")));
}

TEST_F(CheckpointExport, SafetensorsHoldTablesAndDense) {
  ASSERT_TRUE(Export({"safetensors", dir_.Join("out"), {}, false}).ok());
  const std::string file = fs_.Read(dir_.Join("out/model.safetensors")).value();
  const size_t begin = 8 + ValuesOf<uint64_t>(file, 0, 8)[0];
  EXPECT_EQ(begin % 8, 0u);
  const auto header = nlohmann::json::parse(file.substr(8, begin - 8));
  EXPECT_EQ(header.size(), 1u + 4u + 2u);
  EXPECT_EQ(header["__metadata__"]["step"], "20");
  const auto bytes = [&](const std::string& name, const std::string& type, const auto& shape) {
    const auto& tensor = header[name];
    EXPECT_EQ(tensor["dtype"], type);
    EXPECT_EQ(tensor["shape"], nlohmann::json(shape));
    const size_t from = tensor["data_offsets"][0], to = tensor["data_offsets"][1];
    return std::pair<size_t, size_t>(begin + from, begin + to);
  };
  using Shape = std::vector<int>;
  for (const ModelTable& table : model_.tables) {
    const int rows = static_cast<int>(table.rows.size());
    const std::string name = "embedding." + table.name;
    const auto [k0, k1] = bytes(name + ".keys", "U64", Shape{rows});
    EXPECT_EQ(ValuesOf<uint64_t>(file, k0, k1), KeysInOrder(table));
    const auto [w0, w1] = bytes(name + ".weights", "F32", Shape{rows, table.dim});
    EXPECT_EQ(ValuesOf<float>(file, w0, w1), WeightsInOrder(table));
  }
  for (const NamedTensor& tensor : model_.dense) {
    const auto [t0, t1] = bytes(tensor.name, "F32", Shape{tensor.rows, tensor.cols});
    EXPECT_EQ(ValuesOf<float>(file, t0, t1), tensor.values);
    EXPECT_TRUE(t1 == file.size() || &tensor != &model_.dense.back());
  }
}

TEST_F(CheckpointExport, OnlyTheTablesAskedFor) {
  ASSERT_TRUE(Export({"parquet", dir_.Join("out"), {"user"}, false}).ok());
  EXPECT_THAT(fs_.List(dir_.Join("out")).value(), ElementsAre("user.parquet"));
  ASSERT_TRUE(Export({"safetensors", dir_.Join("out"), {"user"}, false}).ok());
  const std::string file = fs_.Read(dir_.Join("out/model.safetensors")).value();
  EXPECT_EQ(file.find("mlp"), std::string::npos);
  EXPECT_EQ(file.find("embedding.item"), std::string::npos);
}

TEST_F(CheckpointExport, WrongRequestsWriteNothing) {
  ExpectInvalid({"csv", dir_.Join("out"), {}, false},
                "--format csv: unknown; allowed: parquet, npy, safetensors");
  ExpectInvalid({"npy", dir_.Join("out"), {"itm"}, false},
                "--table itm: no such table; did you mean \"item\"? tables of step-00000020.1: "
                "item, user");
  EXPECT_FALSE(fs_.Exists(dir_.Join("out")));
}

TEST_F(CheckpointExport, OverwritesOnlyWithForce) {
  const std::string path = dir_.Write("out/user.parquet", "mine");
  ExpectInvalid({"parquet", dir_.Join("out"), {}, false},
                path + ": exists; choose another --output, or overwrite it with --force");
  EXPECT_EQ(fs_.Read(path).value(), "mine");
  EXPECT_FALSE(fs_.Exists(dir_.Join("out/item.parquet")));
  ASSERT_TRUE(Export({"parquet", dir_.Join("out"), {}, true}).ok());
  EXPECT_EQ(ReadParquet(path)->num_rows(), 50);
}

TEST_F(CheckpointExport, AFileIsWholeOrNotThere) {
  for (const char* format : {"parquet", "npy", "safetensors"}) {
    for (int64_t call = 1;; ++call) {
      const TempDir out("fault");
      FaultFileSystem faulty(fs_, {.fail_call = call, .only_once = true});
      const Status status = ExportTo(faulty, {format, out.path(), {"user"}, false});
      std::vector<std::string> paths = fs_.Glob(out.path() + "/*.*").value();
      const std::vector<std::string> inner = fs_.Glob(out.path() + "/user/*").value();
      paths.insert(paths.end(), inner.begin(), inner.end());
      for (const std::string& path : paths) {
        EXPECT_FALSE(path.ends_with(".tmp")) << path << " after call " << call;
        if (path.ends_with(".parquet")) {
          EXPECT_EQ(ReadParquet(path)->num_rows(), 50);
        }
      }
      if (status.ok()) break;
      ASSERT_LT(call, 1000);
      EXPECT_EQ(status.code(), StatusCode::kIoError) << status.ToString();
    }
  }
}

TEST_F(CheckpointExport, WhatIsDamagedIsNotExported) {
  const std::string shard = path_ + "/" + ShardFileName("user", 0, 3);
  std::string bytes = fs_.Read(shard).value();
  bytes[bytes.size() / 2] ^= 1;
  dir_.Write("run/checkpoints/step-00000020.1/" + ShardFileName("user", 0, 3), bytes);
  const Status status = Export({"npy", dir_.Join("out"), {"user"}, false});
  EXPECT_EQ(status.code(), StatusCode::kCorrupt) << status.ToString();
  EXPECT_THAT(status.ToString(), HasSubstr(shard));
  EXPECT_FALSE(fs_.Exists(dir_.Join("out/user/weights.npy")));
}

// Arrow's mock of a store, where a file is there once it was closed.
TEST_F(CheckpointExport, FromAndToAnObjectStore) {
  const auto store = MakeStoreFileSystem(fs_);
  const std::string folder = "mock://bucket/run/checkpoints";
  WriteCheckpoint(*store, folder, SmallModel(10), kBase, 2);
  WriteCheckpoint(*store, folder, model_, kDelta, 3, &kBase);
  std::ostringstream out;
  for (const std::string output : {"mock://bucket/out", "mock://bucket/full"}) {
    ASSERT_TRUE(store->MakeDirectories(output).ok());
  }
  for (const std::string& output : {std::string("mock://bucket/out"), dir_.Join("out")}) {
    const Status status =
        ExportCommand(*store, "mock://bucket/run", {"npy", output, {"item"}, false}, out);
    ASSERT_TRUE(status.ok()) << status.ToString();
    const std::string weights = store->Read(output + "/item/weights.npy").value();
    EXPECT_EQ(ValuesOf<float>(weights, 128, weights.size()), WeightsInOrder(model_.tables[0]));
    EXPECT_THAT(store->List(output + "/item").value(), ElementsAre("keys.npy", "weights.npy"));
  }
  const Status compacted = CompactCommand(*store, "mock://bucket/run", "mock://bucket/full", out);
  ASSERT_TRUE(compacted.ok()) << compacted.ToString();
  EXPECT_TRUE(DiffCommand(*store, path_, "mock://bucket/full", out).value()) << out.str();
}

class CheckpointCompact : public CheckpointExport {
 protected:
  Status Compact(FileSystem& fs, const std::string& path, const std::string& output) {
    return CompactCommand(fs, path, output, out_);
  }
  std::ostringstream out_;
};

TEST_F(CheckpointCompact, MakesAFullOneWithTheSameDigest) {
  const Status status = Compact(fs_, path_, dir_.Join("full"));
  ASSERT_TRUE(status.ok()) << status.ToString();
  const std::string written = dir_.Join("full/step-00000020.1");
  EXPECT_THAT(out_.str(), HasSubstr(written + ": full, 351 rows, "));
  EXPECT_THAT(out_.str(), HasSubstr("needs neither step-00000010.1 nor the delta"));
  const auto full = CheckpointReader::Open(fs_, written),
             delta = CheckpointReader::Open(fs_, path_);
  ASSERT_TRUE(full.ok() && delta.ok());
  EXPECT_TRUE((*full)->Verify().ok());
  EXPECT_EQ((*full)->base(), nullptr);
  EXPECT_EQ((*full)->manifest().digest(), (*delta)->manifest().digest());
  EXPECT_EQ((*full)->manifest().files_size(), (*delta)->manifest().files_size());
  std::ostringstream diff;
  EXPECT_TRUE(DiffCommand(fs_, path_, written, diff).value()) << diff.str();
}

TEST_F(CheckpointCompact, RefusesAFullOneAndANameThatIsTaken) {
  const Status full = Compact(fs_, Folder() + "/step-00000010.1", dir_.Join("full"));
  EXPECT_EQ(full.code(), StatusCode::kInvalidConfig);
  EXPECT_THAT(full.ToString(), HasSubstr("a full checkpoint already"));
  const Status taken = Compact(fs_, path_, Folder());
  EXPECT_EQ(taken.code(), StatusCode::kInvalidConfig);
  EXPECT_THAT(taken.ToString(), HasSubstr(path_ + ": exists; choose another --output"));
  const std::string half = dir_.Join("half/step-00000020.1");
  ASSERT_TRUE(fs_.MakeDirectories(half).ok());
  const Status incomplete = Compact(fs_, path_, dir_.Join("half"));
  EXPECT_EQ(incomplete.code(), StatusCode::kInvalidConfig);
  EXPECT_THAT(incomplete.ToString(),
              HasSubstr(half + ": exists, incomplete; remove it if a compact that ended early left "
                               "it, or choose another --output"));
}

TEST_F(CheckpointCompact, BrokenAnywhereItLeavesNothing) {
  path_ = WriteCheckpoint(fs_, Folder(), model_, {30, 1}, 1, &kBase);  // fewer files, fewer calls
  for (int64_t call = 1;; ++call) {
    const TempDir out("fault");
    FaultFileSystem faulty(fs_, {.fail_call = call, .only_once = true});
    const Status status = Compact(faulty, path_, out.path());
    if (status.ok()) break;
    ASSERT_LT(call, 1000);
    EXPECT_EQ(status.code(), StatusCode::kIoError) << status.ToString();
    EXPECT_FALSE(fs_.Exists(out.path() + "/step-00000030.1")) << "call " << call;
  }
}

}  // namespace
}  // namespace trestle
