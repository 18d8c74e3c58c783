#include "base/local_path.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

std::string path_of(std::string_view location) {
  const Result<std::string> path = local_path(location);
  return path.ok() ? path.value() : "error: " + path.error().message;
}

TEST(LocalPathTest, PathsStayAsTheyAre) {
  for (const char* const path :
       {"", "/", "/data/checkpoints", "relative/to here", "a:b", "./file:///x", "/a://b"}) {
    EXPECT_EQ(path_of(path), path);
  }
}

TEST(LocalPathTest, FileUrisArePaths) {
  EXPECT_EQ(path_of("file:///data/checkpoints"), "/data/checkpoints");
  EXPECT_EQ(path_of("file:/data/checkpoints"), "/data/checkpoints");
  EXPECT_EQ(path_of("file:////data"), "/data");
  EXPECT_EQ(path_of("file:///"), "/");
}

TEST(LocalPathTest, WhatIsNotOnThisMachineIsRefused) {
  EXPECT_EQ(path_of("s3://bucket/checkpoints"),
            "error: 's3://bucket/checkpoints' is on 's3', which this build cannot reach: name a "
            "local path, such as /data or file:///data");
  EXPECT_EQ(path_of("hdfs:///checkpoints").substr(0, 7), "error: ");
  const std::string mend =
      "is not a path of this machine: three slashes and the absolute path follow 'file:', as in "
      "file:///data";
  EXPECT_EQ(path_of("file://host/data"), "error: 'file://host/data' " + mend);
  EXPECT_EQ(path_of("file:data"), "error: 'file:data' " + mend);
  EXPECT_EQ(path_of("file:"), "error: 'file:' " + mend);
  EXPECT_EQ(path_of("file://"), "error: 'file://' " + mend);
}

}  // namespace
}  // namespace weir
