// A small checkpoint, full and delta, cut and changed at every place: always an error that names
// the file, never other rows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <random>
#include <utility>

#include "base/atomic_file.h"
#include "ps/checkpoint/checkpoint_reader.h"
#include "tests/ps/altered_files.h"
#include "tests/ps/checkpoint_files.h"
#include "tests/support/sanitizers.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

namespace stdfs = std::filesystem;
using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr uint64_t kSeed = 20240607;

// What a start does with a checkpoint: all rows of all tables, and the network.
Status Load(FileSystem& fs, const std::string& path) {
  TRESTLE_ASSIGN_OR_RETURN(const auto reader, CheckpointReader::Open(fs, path));
  for (const TableEntry& table : reader->manifest().tables()) {
    TRESTLE_RETURN_IF_ERROR(
        reader->ForEachRow(table.name(), 0, kPartitions, [](const RowView&) { return Status(); }));
  }
  return reader->Dense().status();
}

Status OpenAndVerify(FileSystem& fs, const std::string& path) {
  TRESTLE_ASSIGN_OR_RETURN(const auto reader, CheckpointReader::Open(fs, path));
  return reader->Verify();
}

class CheckpointDamage : public ::testing::Test {
 protected:
  void SetUp() override {
    std::mt19937_64 random(kSeed);
    PlainCheckpoint model = RandomCheckpoint(random, 8);
    model.tables = {model.tables[1]};  // with two slots
    const WriteOptions full{.name = {1, 1}, .batch_bytes = 400};
    ASSERT_TRUE(WritePlainCheckpoint(fs_, dir_.path(), model, full).ok());
    for (PlainTable& table : model.tables) ChangeRandomRows(random, &table, 2, 2);
    const auto path = WritePlainCheckpoint(fs_, dir_.path(), model,
                                           {.name = {2, 1},
                                            .batch_bytes = 400,
                                            .number = 2,
                                            .base = full.name.ToString(),
                                            .base_step = 1});
    ASSERT_TRUE(path.ok()) << path.status().ToString();
    path_ = *path;
    ASSERT_TRUE(Load(fs_, path_).ok());
    const Status verified = OpenAndVerify(fs_, path_);
    ASSERT_TRUE(verified.ok()) << verified.ToString();
    for (const auto& file : stdfs::recursive_directory_iterator(dir_.path())) {
      if (file.is_regular_file()) files_.push_back(file.path().string());
    }
    std::sort(files_.begin(), files_.end());
    in_memory_ = std::make_unique<AlteredFiles>(fs_);
    for (const std::string& file : files_) in_memory_->altered[file] = Contents(file);
    ASSERT_EQ(files_.size(), 8u);  // of both: the table's two, the network, the manifest
  }

  // Whether a start, and `verify`, say what is wrong with the file that holds these bytes. A start
  // does not read the network of a delta's base, which the delta has a whole one of.
  void ExpectRefused(const std::string& file, std::string contents, const std::string& what) {
    AlteredFiles& altered = *in_memory_;
    const std::string before = std::exchange(altered.altered[file], std::move(contents));
    std::vector<Status> statuses = {OpenAndVerify(altered, path_)};
    if (file != dir_.Join("step-00000001.1/dense.safetensors")) {
      statuses.push_back(Load(altered, path_));
    }
    altered.altered[file] = before;
    for (const Status& status : statuses) {
      ASSERT_EQ(status.code(), StatusCode::kCorrupt) << file << ": " << what;
      ASSERT_THAT(status.ToString(), HasSubstr(file)) << what;
    }
  }

  std::string Contents(const std::string& file) { return fs_.Read(file).value(); }

  // The delta's files by the end of their names.
  std::string File(const std::string& name) const { return path_ + "/" + name; }

  void ExpectCorrupt(const std::string& file) {
    for (const Status& status : {Load(fs_, path_), OpenAndVerify(fs_, path_)}) {
      EXPECT_EQ(status.code(), StatusCode::kCorrupt) << status.ToString();
      EXPECT_THAT(status.ToString(), HasSubstr(file));
    }
  }

  TempDir dir_;
  FileSystem& fs_ = FileSystem::Local();
  std::string path_;  // of the delta
  std::vector<std::string> files_;
  std::unique_ptr<AlteredFiles> in_memory_;  // all of them
};

constexpr size_t kDamageStride = kSanitized ? 29 : 1;  // of all bytes every so-many-th

TEST_F(CheckpointDamage, CutAtEveryByteOfEveryFile) {
  for (const std::string& file : files_) {
    const std::string contents = Contents(file);
    for (size_t size = 0; size < contents.size(); size += kDamageStride) {
      ExpectRefused(file, contents.substr(0, size), "cut to " + std::to_string(size));
      if (HasFatalFailure()) return;
    }
    ExpectRefused(file, contents + '\n', "one byte longer");
  }
}

TEST_F(CheckpointDamage, OneBitChangedInEveryByteOfEveryFile) {
  std::mt19937_64 random(kSeed);
  for (const std::string& file : files_) {
    std::string contents = Contents(file);
    for (size_t at = 0; at < contents.size(); at += kDamageStride) {
      const auto bit = static_cast<char>(1 << random() % 8);
      contents[at] ^= bit;
      ExpectRefused(file, contents, "byte " + std::to_string(at));
      if (HasFatalFailure()) return;
      contents[at] ^= bit;
    }
  }
}

TEST_F(CheckpointDamage, OneBitChangedAtTenThousandRandomPlaces) {
  std::mt19937_64 random(kSeed + 1);
  std::vector<std::string> contents;
  std::vector<size_t> ends;
  for (const std::string& file : files_) {
    contents.push_back(Contents(file));
    ends.push_back((ends.empty() ? 0 : ends.back()) + contents.back().size());
  }
  for (size_t i = 0; i < 10'000 / kDamageStride; ++i) {
    const size_t place = random() % ends.back();
    const auto f =
        static_cast<size_t>(std::upper_bound(ends.begin(), ends.end(), place) - ends.begin());
    const size_t at = place - (ends[f] - contents[f].size());
    std::string changed = contents[f];
    changed[at] ^= static_cast<char>(1 << random() % 8);
    ExpectRefused(files_[f], changed, "byte " + std::to_string(at));
    if (HasFatalFailure()) return;
  }
}

TEST_F(CheckpointDamage, AMissingFileIsNamed) {
  for (const std::string& file : files_) {
    ASSERT_TRUE(fs_.Rename(file, dir_.Join("away")).ok());
    for (const Status& status : {Load(fs_, path_), OpenAndVerify(fs_, path_)}) {
      const bool none = file == File(kManifestName);  // then it is no checkpoint
      EXPECT_EQ(status.code(), none ? StatusCode::kNotFound : StatusCode::kCorrupt);
      const std::string base = stdfs::path(file).parent_path().string();
      EXPECT_THAT(status.ToString(), AnyOf(HasSubstr(file), HasSubstr(base + ": missing")));
    }
    ASSERT_TRUE(fs_.Rename(dir_.Join("away"), file).ok());
  }
  EXPECT_TRUE(OpenAndVerify(fs_, path_).ok());
}

TEST_F(CheckpointDamage, ARenamedFolderOrFileIsNamed) {
  const std::string other = dir_.Join("step-00000003.1");
  ASSERT_TRUE(fs_.Rename(path_, other).ok());
  const Status renamed = Load(fs_, other);
  EXPECT_EQ(renamed.code(), StatusCode::kCorrupt);
  EXPECT_THAT(renamed.ToString(), HasSubstr("but the folder is called step-00000003.1"));
  ASSERT_TRUE(fs_.Rename(other, path_).ok());

  const std::string file = File("embedding/brand-00000-of-00002.arrow");
  ASSERT_TRUE(fs_.Rename(file, File("embedding/brand-00000-of-00003.arrow")).ok());
  ExpectCorrupt(file + ": missing");
}

TEST_F(CheckpointDamage, ATrailingSlashAndARelativePathAreTheSameFolder) {
  EXPECT_TRUE(OpenAndVerify(fs_, path_ + "/").ok());
  const auto here = stdfs::current_path();
  stdfs::current_path(path_);
  const Status dot = OpenAndVerify(fs_, ".");
  stdfs::current_path(here);
  EXPECT_TRUE(dot.ok()) << dot.ToString();
}

// Every pair of files whose contents change places.
TEST_F(CheckpointDamage, SwappedFilesAreRefused) {
  for (size_t a = 0; a < files_.size(); ++a) {
    for (size_t b = a + 1; b < files_.size(); ++b) {
      const std::string in_a = Contents(files_[a]), in_b = Contents(files_[b]);
      if (in_a == in_b) continue;  // the network of both checkpoints
      AlteredFiles altered(fs_);
      altered.altered = {{files_[a], in_b}, {files_[b], in_a}};
      for (const Status& status : {Load(altered, path_), OpenAndVerify(altered, path_)}) {
        EXPECT_EQ(status.code(), StatusCode::kCorrupt) << files_[a] << " and " << files_[b];
        EXPECT_THAT(status.ToString(), AnyOf(HasSubstr(files_[a]), HasSubstr(files_[b])));
      }
    }
  }
}

TEST_F(CheckpointDamage, ExtraFilesFailVerifyAlone) {
  for (const std::string& folder : {path_, dir_.Join("step-00000001.1")}) {
    for (const std::string name : {"/note.txt", "/embedding/brand-00002-of-00003.arrow"}) {
      const std::string file = folder + name;
      ASSERT_TRUE(WriteFileAtomically(fs_, file, "x").ok());
      EXPECT_TRUE(Load(fs_, path_).ok());
      const Status status = OpenAndVerify(fs_, path_);
      EXPECT_EQ(status.code(), StatusCode::kCorrupt);
      EXPECT_THAT(status.ToString(), HasSubstr(file + ": is not in MANIFEST.json"));
      ASSERT_TRUE(fs_.Remove(file).ok());
    }
  }
}

// Another checkpoint under the base's name: its files are whole, but it is not the delta's base.
TEST_F(CheckpointDamage, AnotherBaseIsRefused) {
  const std::string base = dir_.Join("step-00000001.1");
  stdfs::remove_all(base);
  std::mt19937_64 random(kSeed + 2);
  ASSERT_TRUE(WritePlainCheckpoint(fs_, dir_.path(), RandomCheckpoint(random, 8), {}).ok());
  ExpectCorrupt(base + "/MANIFEST.json");
}

// What only the digests can see: files and manifest that fit, but not those rows.
TEST_F(CheckpointDamage, RowsThatDoNotAddUpFailVerify) {
  for (const std::string field : {"rows", "table digest", "digest"}) {
    Manifest manifest = ReadManifest(fs_, path_).value();
    TableEntry& table = *manifest.mutable_tables(0);
    if (field == "rows") table.set_rows(table.rows() + 1);
    if (field == "table digest") table.set_digest(table.digest() + 1);
    manifest.set_digest(field == "digest" ? "0000000000000000" : ModelDigest(manifest));
    AlteredFiles altered(fs_);
    altered.altered[File(kManifestName)] = ManifestText(manifest);
    const Status status = OpenAndVerify(altered, path_);
    EXPECT_EQ(status.code(), StatusCode::kCorrupt) << field;
    EXPECT_THAT(status.ToString(), HasSubstr(field == "digest" ? "digest 0000" : "table brand"));
  }
}

TEST_F(CheckpointDamage, AManifestWithoutAllPartitionsIsRefused) {
  Manifest manifest = ReadManifest(fs_, path_).value();
  manifest.mutable_files()->DeleteSubrange(1, 1);
  AlteredFiles altered(fs_);
  altered.altered[File(kManifestName)] = ManifestText(manifest);
  const Status status = Load(altered, path_);
  EXPECT_EQ(status.code(), StatusCode::kCorrupt);
  EXPECT_THAT(status.ToString(),
              HasSubstr("no file of table brand that begins at partition 32768"));
}

}  // namespace
}  // namespace trestle
