// A FileSystem in which paths may be URIs of object stores: "s3://bucket/ctr/checkpoints" goes to
// Arrow's file system of that scheme, every other path to the one beneath.
//
// What an object store promises differs from a disk: a file is there once it was closed, whole, and
// then it is durable; so Sync and SyncDirectory do nothing, AppearsWhole is true, and a file that
// is dropped unclosed never was. Nothing can be appended to. Folders are names. Credentials, region
// and endpoint come from the environment (AWS_ACCESS_KEY_ID, AWS_REGION, AWS_ENDPOINT_URL, ...).
//
// Thread safety: as FileSystem's. Ownership: the one beneath must outlive it.
// Errors: kUnsupported for schemes that this Arrow lacks; kNotFound, kIoError with path and reason.
#pragma once

#include <memory>

#include "base/filesystem.h"

namespace trestle {

std::unique_ptr<FileSystem> MakeStoreFileSystem(FileSystem& beneath);

// Whether a path is such a URI.
bool IsStoreUri(const std::string& path);

}  // namespace trestle
