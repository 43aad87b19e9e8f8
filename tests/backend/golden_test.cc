// Base and DIN against PyTorch in double precision: golden/make_golden.py wrote what must come out.
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <sstream>

#include "backend/bridge.h"

namespace trestle {
namespace {

struct GoldenCase {
  std::string name;
  BackendOptions options;
  bool training = false;
  int64_t rows = 0;
  std::map<std::string, std::vector<double>> tensors;
};

// The lines of make_golden.py: a keyword, its arguments, and for a tensor a line of numbers.
std::vector<GoldenCase> ReadCases(const std::string& path) {
  std::vector<GoldenCase> cases;
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string keyword;
    words >> keyword;
    if (keyword == "case") words >> cases.emplace_back().name;
    if (keyword == "end") continue;
    GoldenCase& current = cases.back();
    if (keyword == "config") {
      EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(line.substr(keyword.size()),
                                                                &current.options.model));
    } else if (keyword == "training") {
      words >> current.training;
    } else if (keyword == "rows") {
      words >> current.rows;
    } else if (keyword == "numeric_width") {
      words >> current.options.inputs.numeric_width;
    } else if (keyword == "slot") {
      SlotSpec& slot = current.options.inputs.slots.emplace_back();
      words >> slot.name >> slot.dim >> slot.sequence_group;
    } else if (keyword == "tensor") {
      std::string name;
      int64_t rows = 0, cols = 0;
      words >> name >> rows >> cols;
      std::getline(file, line);
      std::istringstream numbers(line);
      std::vector<double>& values = current.tensors[name];
      for (double x; numbers >> x;) values.push_back(x);
      EXPECT_EQ(static_cast<int64_t>(values.size()), rows * cols) << name;
    }
  }
  return cases;
}

// Equal within 1e-5 of the largest element.
void ExpectClose(const std::string& what, const std::vector<double>& actual,
                 const std::vector<double>& expected) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  double largest = 1e-6;  // a gradient may be zero: a bias before batch norm
  for (double x : expected) largest = std::max(largest, std::abs(x));
  for (size_t i = 0; i < actual.size(); ++i) {
    EXPECT_NEAR(actual[i], expected[i], 1e-5 * largest + 1e-6) << what << "[" << i << "]";
  }
}

template <class T>
std::vector<double> Doubles(const T* begin, int64_t count) {
  return std::vector<double>(begin, begin + count);
}

// A case's buffers as a lane.
class GoldenLane {
 public:
  explicit GoldenLane(const GoldenCase& golden) : golden_(golden) {
    lane.rows = golden.rows;
    for (const SlotSpec& spec : golden.options.inputs.slots) {
      SlotTensor& slot = lane.slots.emplace_back();
      slot.dim = spec.dim;
      slot.values = Floats("input/" + spec.name);
      slot.count = static_cast<int64_t>(golden.tensors.at("input/" + spec.name).size()) / spec.dim;
      slot.gradient = floats_.emplace_back(slot.count * slot.dim, NAN).data();
      if (spec.list()) {
        const auto& values = golden.tensors.at("offsets/" + std::to_string(spec.sequence_group));
        slot.offsets = offsets_.emplace_back(values.begin(), values.end()).data();
      }
    }
    lane.numeric = Floats("input/numeric");
    lane.labels = Floats("labels");
    lane.logits = floats_.emplace_back(golden.rows, NAN).data();
  }
  LaneTensors lane;

 private:
  float* Floats(const std::string& name) {
    const std::vector<double>& values = golden_.tensors.at(name);
    return floats_.emplace_back(values.begin(), values.end()).data();
  }
  const GoldenCase& golden_;
  std::vector<std::vector<float>> floats_ = Reserved<std::vector<float>>();
  std::vector<std::vector<int32_t>> offsets_ = Reserved<std::vector<int32_t>>();
  template <class T>
  static std::vector<T> Reserved() {
    std::vector<T> v;
    v.reserve(64);  // elements must not move: the lane points into them
    return v;
  }
};

void LoadParametersAndStatistics(const GoldenCase& golden, DenseBackend* backend) {
  size_t loaded = 0;
  for (auto& [slice, values] : backend->State()) {
    auto found = golden.tensors.find("parameter/" + slice.name);
    if (found == golden.tensors.end()) found = golden.tensors.find(slice.name);  // "statistic/..."
    if (found == golden.tensors.end()) {
      EXPECT_EQ(slice.name.find("adam."), 0u) << slice.name << " is not in the golden file";
      continue;
    }
    ASSERT_EQ(values.size(), found->second.size()) << slice.name;
    std::copy(found->second.begin(), found->second.end(), values.begin());
    ++loaded;
  }
  size_t there_are = 0;
  for (const auto& [name, values] : golden.tensors) {
    there_are += name.starts_with("parameter/") || name.starts_with("statistic/");
  }
  EXPECT_EQ(loaded, there_are) << "the golden file names parameters that the model lacks";
}

void CheckGradients(const GoldenCase& golden, const LaneTensors& lane, DenseBackend* backend) {
  for (size_t i = 0; i < lane.slots.size(); ++i) {
    const SlotTensor& slot = lane.slots[i];
    const std::string name = "gradient/input/" + golden.options.inputs.slots[i].name;
    ExpectClose(name, Doubles(slot.gradient, slot.count * slot.dim), golden.tensors.at(name));
  }
  const std::span<int64_t> sums = backend->Sums();
  for (const FlatSlice& slice : backend->parameters().slices()) {
    std::vector<double> gradient;
    for (int64_t i = 0; i < slice.size(); ++i) {
      gradient.push_back(backend->unit().ToDouble(sums[slice.offset + i]));
    }
    const std::string name = "gradient/parameter/" + slice.name;
    ExpectClose(name, gradient, golden.tensors.at(name));
  }
}

void CheckStatisticsAfterTheStep(const GoldenCase& golden, DenseBackend* backend) {
  backend->ApplyStep(1, 1.0f);
  for (const auto& [slice, values] : backend->State()) {
    if (!slice.name.starts_with("statistic/")) continue;
    ExpectClose(slice.name, Doubles(values.data(), values.size()),
                golden.tensors.at("after/" + slice.name));
  }
}

TEST(Golden, ModelsComputeWhatPyTorchComputes) {
  const auto cases = ReadCases(TRESTLE_SOURCE_DIR "/tests/backend/golden/golden.txt");
  ASSERT_EQ(cases.size(), 8u);
  for (const GoldenCase& golden : cases) {
    SCOPED_TRACE(golden.name);
    auto made = MakeCpuBackend(golden.options);
    ASSERT_TRUE(made.ok()) << made.status().ToString();
    DenseBackend& backend = **made;
    LoadParametersAndStatistics(golden, &backend);
    GoldenLane fixture(golden);
    LaneTensors& lane = fixture.lane;
    backend.BeginStep();
    backend.RunLane(0, {.step = 1, .lane = 0}, golden.training, lane);
    std::string what;
    ASSERT_FALSE(backend.bad(&what)) << what;
    ExpectClose("logits", Doubles(lane.logits, lane.rows), golden.tensors.at("expect/logits"));
    ExpectClose("loss", {backend.Totals().loss_sum}, golden.tensors.at("expect/loss"));
    if (golden.training) {
      CheckGradients(golden, lane, &backend);
      CheckStatisticsAfterTheStep(golden, &backend);
    }
  }
}

}  // namespace
}  // namespace trestle
