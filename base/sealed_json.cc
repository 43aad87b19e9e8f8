#include "base/sealed_json.h"

#include <glog/logging.h>
#include <google/protobuf/util/json_util.h>

#include <string_view>

#include "base/hash.h"

namespace trestle {
namespace {

// protobuf writes the number -0.0 as -0, which it reads as the integer 0. No string can be meant:
// it has no line feeds and ends with a quote.
std::string WithNegativeZeros(std::string json) {
  for (const std::string_view end : {"\n", ",\n"}) {
    const std::string zero = ": -0" + std::string(end);
    for (size_t at = 0; (at = json.find(zero, at)) != std::string::npos; at += zero.size()) {
      json.insert(at + 4, ".0");
    }
  }
  return json;
}

// The last member of the object: the checksum of the whole text, taken with zeros in its place.
constexpr std::string_view kSealBegin = " \"checksum\": \"";
constexpr std::string_view kUnsealed = "00000000000000000000000000000000";
constexpr std::string_view kSealEnd = "\"\n}\n";

std::string Seal(std::string json) {
  const size_t last = json.find_last_not_of(" \n", json.rfind('}') - 1);
  json.resize(last + 1);
  if (json.back() != '{') json += ',';
  json += '\n';
  json += kSealBegin;
  const size_t at = json.size();
  json += kUnsealed;
  json += kSealEnd;
  return json.replace(at, kUnsealed.size(), Hash128(json));
}

}  // namespace

std::string SealedJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  CHECK(status.ok()) << status.ToString();
  return Seal(WithNegativeZeros(std::move(json)));
}

std::string UnsealedJson(std::string text) {
  const size_t tail = kSealBegin.size() + kUnsealed.size() + kSealEnd.size();
  if (text.size() < tail || !text.ends_with(kSealEnd)) return {};
  const size_t begin = text.size() - tail, at = begin + kSealBegin.size();
  if (text.compare(begin, kSealBegin.size(), kSealBegin) != 0) return {};
  const std::string sum = text.substr(at, kUnsealed.size());
  if (Hash128(text.replace(at, kUnsealed.size(), kUnsealed)) != sum) return {};
  const size_t last = text.find_last_not_of(" \n", begin - 1);
  text.resize(text[last] == ',' ? last : last + 1);
  return text + "\n}\n";
}

}  // namespace trestle
