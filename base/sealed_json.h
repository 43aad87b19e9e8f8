// Sealed JSON: a protobuf message as JSON text whose last member is a checksum of the whole text,
// so that a manifest that was cut or changed anywhere is noticed, also where it would still be good
// JSON.
//
// Thread safety: pure functions.
#pragma once

#include <google/protobuf/message.h>

#include <string>

namespace trestle {

// The same bytes for the same message. Field names are the message's own.
std::string SealedJson(const google::protobuf::Message& message);

// The JSON object without its seal; empty if the seal does not hold.
std::string UnsealedJson(std::string text);

}  // namespace trestle
