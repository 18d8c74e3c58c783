#include "weir/configuration.h"

#include <array>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/configuration_registry.h"
#include "weir/config_options.h"
#include "weir/rocksdb_options.h"

namespace weir {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

std::string message_of(const Status& status) {
  return status.ok() ? std::string() : status.error().message;
}

Configuration with_checkpoints() {
  Configuration configuration;
  configuration.set(options::kCheckpointInterval, seconds(10))
      .set(options::kCheckpointDir, "/tmp/checkpoints");
  return configuration;
}

TEST(ConfigurationValues, DurationsReadAsInFlink) {
  const auto read = [](std::string_view text) {
    return parse_config_value<DurationMs>(text).value();
  };
  EXPECT_EQ(read("250"), milliseconds(250));
  EXPECT_EQ(read(" 10 s "), seconds(10));
  EXPECT_EQ(read("10s"), seconds(10));
  EXPECT_EQ(read("3 min"), minutes(3));
  EXPECT_EQ(read("3m"), minutes(3));
  EXPECT_EQ(read("2 Hours"), hours(2));
  EXPECT_EQ(read("1 d"), hours(24));
  EXPECT_EQ(read("2000 us"), milliseconds(2));
  EXPECT_EQ(read("5000 \xc2\xb5s"), milliseconds(5));
  EXPECT_EQ(read("3000000 ns"), milliseconds(3));
}

TEST(ConfigurationValues, WhatIsNoDurationIsRefused) {
  for (const std::string_view text : {"", "s", "-1 s", "1.5 s", "1 fortnight", "1 s 2", "1 us",
                                      "9223372036854775807 d", "99999999999999999999"}) {
    EXPECT_FALSE(parse_config_value<DurationMs>(text).ok()) << text;
  }
}

TEST(ConfigurationValues, SizesArePowersOf1024) {
  EXPECT_EQ(parse_config_value<SizeBytes>("20 kb").value().value, 20 * 1024);
  EXPECT_EQ(parse_config_value<SizeBytes>("128mb").value().value, 128LL * 1024 * 1024);
  EXPECT_EQ(parse_config_value<SizeBytes>("4096").value().value, 4096);
  EXPECT_EQ(parse_config_value<SizeBytes>("2 G").value().value, 2LL * 1024 * 1024 * 1024);
  EXPECT_FALSE(parse_config_value<SizeBytes>("9000000 tb").ok());
  EXPECT_FALSE(parse_config_value<SizeBytes>("1 parsec").ok());
}

TEST(ConfigurationValues, NumbersBooleansAndChoices) {
  EXPECT_EQ(parse_config_value<int>("+7").value(), 7);
  EXPECT_FALSE(parse_config_value<int>("2147483648").ok());
  EXPECT_FALSE(parse_config_value<int>("7x").ok());
  EXPECT_FALSE(parse_config_value<int>("+-7").ok());
  EXPECT_TRUE(parse_config_value<bool>("TRUE").value());
  EXPECT_FALSE(parse_config_value<bool>("yes").ok());
  EXPECT_DOUBLE_EQ(parse_config_value<double>("1.5").value(), 1.5);
  EXPECT_FALSE(parse_config_value<double>("inf").ok());
  EXPECT_EQ(parse_config_value<CheckpointingMode>("at_least_once").value(),
            CheckpointingMode::kAtLeastOnce);
  EXPECT_THAT(parse_config_value<ClaimMode>("LEGACY").error().message, HasSubstr("NO_CLAIM"));
}

TEST(ConfigurationValues, WhatIsFormattedReadsBack) {
  EXPECT_EQ(parse_config_value<DurationMs>(format_config_value(DurationMs(1234))).value(),
            milliseconds(1234));
  EXPECT_EQ(parse_config_value<double>(format_config_value(0.1)).value(), 0.1);
  EXPECT_EQ(format_config_value(RestartStrategyType::kDisable), "disable");
}

TEST(ConfigurationRegistry, KeysAreUniqueAndDefaultsPassTheirOwnChecks) {
  std::set<std::string_view> keys;
  for (const OptionInfo& option : registered_options()) {
    EXPECT_TRUE(keys.insert(option.key).second) << option.key;
    EXPECT_EQ(option.key.find('_'), std::string_view::npos) << option.key;
    if (!option.default_text.empty()) {
      EXPECT_EQ(message_of(option.check_text(option.default_text)), "") << option.key;
      EXPECT_TRUE(option.is_default(option.default_text)) << option.key;
    }
  }
  EXPECT_TRUE(validate(Configuration()).ok());
}

TEST(ConfigurationRegistry, EveryOptionOfTheHeadersIsRegistered) {
  std::size_t declared = 0;
  for (const char* const name : {"config_options.h", "memory_options.h", "rocksdb_options.h"}) {
    std::ifstream header(std::string(WEIR_SOURCE_DIR "/include/weir/") + name);
    std::stringstream text;
    text << header.rdbuf();
    constexpr std::string_view kMark = "inline constexpr ConfigOption<";
    const std::string content = text.str();
    for (std::size_t at = content.find(kMark); at != std::string::npos;
         at = content.find(kMark, at + 1)) {
      ++declared;
    }
  }
  EXPECT_EQ(declared, registered_options().size());
}

TEST(ConfigurationRegistry, AnUnknownKeyNamesTheNearestOne) {
  EXPECT_EQ(nearest_key("execution.checkpointing.intervall"), "execution.checkpointing.interval");
  EXPECT_EQ(nearest_key("checkpointing.min-pause"), "execution.checkpointing.min-pause");
  EXPECT_EQ(nearest_key("state.checkpoints.dir"), "execution.checkpointing.dir");
  EXPECT_EQ(nearest_key("state.savepoints.dir"), "execution.checkpointing.savepoint-dir");
  EXPECT_EQ(nearest_key("weir.worker"), "weir.workers");
  EXPECT_FALSE(nearest_key(std::string(100'000, 'x')).empty());
}

TEST(ConfigurationReference, ThePageMatchesTheRegistry) {
  const std::string path = WEIR_SOURCE_DIR "/docs/guide/configuration.md";
  if (const char* update = std::getenv("WEIR_UPDATE_DOCS"); update != nullptr && *update != '\0') {
    std::ofstream(path, std::ios::binary) << configuration_reference();
  }
  std::ifstream page(path, std::ios::binary);
  std::stringstream text;
  text << page.rdbuf();
  EXPECT_EQ(text.str(), configuration_reference()) << "run this test with WEIR_UPDATE_DOCS=1";
}

TEST(Configuration, DefaultsAndSetValues) {
  Configuration configuration;
  EXPECT_FALSE(configuration.find(options::kCheckpointInterval).has_value());
  EXPECT_EQ(configuration.get(options::kCheckpointTimeout), minutes(10));
  EXPECT_EQ(configuration.get(options::kMaxParallelism), 128);
  configuration.set(options::kCheckpointInterval, milliseconds(50));
  EXPECT_EQ(configuration.get(options::kCheckpointInterval), milliseconds(50));
}

TEST(Configuration, UnknownKeysAndBadValuesNameTheirPlaceAndTheMend) {
  Configuration configuration;
  EXPECT_THAT(message_of(configuration.set("state.checkpoints.dir", "/x")),
              HasSubstr("did you mean 'execution.checkpointing.dir'"));
  EXPECT_THAT(message_of(configuration.set_definition("execution.checkpointing.interval=5 ms")),
              testing::AllOf(HasSubstr("-D execution.checkpointing.interval"),
                             HasSubstr("at least 10 ms")));
  EXPECT_THAT(message_of(configuration.load_yaml("a: 1\nparallelism.default: many\n", "c.yaml")),
              HasSubstr("c.yaml:1"));
  EXPECT_THAT(message_of(configuration.load_yaml("parallelism.default: many\n", "c.yaml")),
              HasSubstr("whole number"));
}

TEST(Configuration, YamlMayNestOrDot) {
  Configuration configuration;
  EXPECT_EQ(message_of(configuration.load_yaml("execution:\n"
                                               "  checkpointing:\n"
                                               "    interval: 10 s\n"
                                               "    mode: EXACTLY_ONCE\n"
                                               "execution.checkpointing.dir: /data\n"
                                               "restart-strategy:\n"
                                               "  fixed-delay.attempts: 3\n"
                                               "  type: fixed-delay\n",
                                               "config.yaml")),
            "");
  EXPECT_EQ(configuration.get(options::kCheckpointInterval), seconds(10));
  EXPECT_EQ(configuration.get(options::kFixedDelayAttempts), 3);
  EXPECT_EQ(configuration.describe("execution.checkpointing.dir"),
            "execution.checkpointing.dir = /data (config.yaml:5)");
  EXPECT_EQ(message_of(validate(configuration)), "");
}

TEST(Configuration, YamlThatCannotBeMeantIsRefused) {
  Configuration configuration;
  EXPECT_TRUE(configuration.load_yaml("", "empty.yaml").ok());
  EXPECT_THAT(message_of(configuration.load_yaml("parallelism.default: 1\n"
                                                 "parallelism:\n  default: 2\n",
                                                 "c.yaml")),
              testing::AllOf(HasSubstr("c.yaml:1"), HasSubstr("c.yaml:3")));
  EXPECT_FALSE(configuration.load_yaml("- a\n- b\n", "c.yaml").ok());
  EXPECT_FALSE(configuration.load_yaml("weir.workers:\n", "c.yaml").ok());
  EXPECT_FALSE(configuration.load_yaml("a: [1, {b: 2}]\n", "c.yaml").ok());
  EXPECT_THAT(message_of(configuration.load_yaml("a: [1\nb: }", "c.yaml")), HasSubstr("c.yaml:"));
  EXPECT_EQ(configuration.load_file("/nowhere/c.yaml").error().code, ErrorCode::kNotFound);
}

TEST(Configuration, TheEnvironmentSpellsKeysWithUnderscores) {
  const std::array<const char*, 5> variables{
      "PATH=/bin", "WEIR_CONF_execution__checkpointing__min_pause=2 s",
      "WEIR_CONF_WEIR__IO_THREADS=8", "WEIR_CONFIG=x", nullptr};
  Configuration configuration;
  EXPECT_EQ(message_of(configuration.load_environment(variables.data())), "");
  EXPECT_EQ(configuration.get(options::kCheckpointMinPause), seconds(2));
  EXPECT_EQ(configuration.get(options::kIoThreads), 8);

  const std::array<const char*, 2> unknown{"WEIR_CONF_weir__worker=1", nullptr};
  EXPECT_THAT(message_of(configuration.load_environment(unknown.data())),
              HasSubstr("$WEIR_CONF_weir__worker"));
}

TEST(Configuration, TheCommandLineBeatsEnvironmentFileAndCodeInAnyOrder) {
  const std::array<const char*, 2> variables{"WEIR_CONF_weir__workers=3", nullptr};
  Configuration configuration;
  EXPECT_TRUE(configuration.set_definition("weir.workers=4").ok());
  EXPECT_TRUE(configuration.load_environment(variables.data()).ok());
  EXPECT_TRUE(configuration.load_yaml("weir.workers: 2", "c.yaml").ok());
  configuration.set(options::kWorkers, 1);
  EXPECT_EQ(configuration.get(options::kWorkers), 4);

  Configuration from_file;
  EXPECT_TRUE(from_file.load_yaml("weir.workers: 2\nweir.io-threads: 9", "c.yaml").ok());
  Configuration code;
  code.set(options::kWorkers, 1).set(options::kIoThreads, 1);
  code.merge(from_file);
  EXPECT_EQ(code.get(options::kIoThreads), 9);
  configuration.merge(from_file);
  EXPECT_EQ(configuration.get(options::kWorkers), 4);
}

TEST(Configuration, ArgumentsThatAreNotOursAreLeftToTheProgram) {
  const std::array<const char*, 9> argv{
      "job", "--input", "a.csv", "-D", "weir.workers=2", "-Dweir.io-threads=3", "out", "--", "-Dx"};
  std::vector<std::string> rest;
  const auto configuration =
      Configuration::from_args(static_cast<int>(argv.size()), argv.data(), &rest);
  ASSERT_TRUE(configuration.ok()) << configuration.error().message;
  EXPECT_EQ(configuration.value().get(options::kWorkers), 2);
  EXPECT_EQ(configuration.value().get(options::kIoThreads), 3);
  EXPECT_THAT(rest, testing::ElementsAre("--input", "a.csv", "out", "--", "-Dx"));
}

TEST(Configuration, IncompleteOrContradictingArgumentsAreRefused) {
  const auto parse = [](std::vector<const char*> argv) {
    argv.insert(argv.begin(), "job");
    return Configuration::from_args(static_cast<int>(argv.size()), argv.data()).status();
  };
  EXPECT_FALSE(parse({"-D"}).ok());
  EXPECT_FALSE(parse({"-D", "weir.workers"}).ok());
  EXPECT_FALSE(parse({"-D=1"}).ok());
  EXPECT_FALSE(parse({"--config"}).ok());
  EXPECT_FALSE(parse({"--config", "/nowhere.yaml"}).ok());
  EXPECT_FALSE(parse({"-Dweir.workers=1", "-Dweir.workers=2"}).ok());
  EXPECT_TRUE(parse({"-Dweir.workers=1", "-Dweir.workers=1"}).ok());
}

TEST(Configuration, SecretLookingKeysAreNeverShown) {
  EXPECT_TRUE(is_sensitive_key("kafka.sasl.PASSWORD"));
  EXPECT_FALSE(is_sensitive_key("weir.workers"));
  Configuration configuration;
  EXPECT_THAT(message_of(configuration.set_definition("kafka.password=S3CR3T")),
              Not(HasSubstr("S3CR3T")));
  constexpr ConfigOption<std::string> kUnregistered{"my.token", "", ""};
  configuration.set(kUnregistered, "S3CR3T");
  EXPECT_THAT(configuration.describe("my.token"), Not(HasSubstr("S3CR3T")));
  EXPECT_THAT(message_of(validate(configuration)),
              testing::AllOf(HasSubstr("my.token"), Not(HasSubstr("S3CR3T"))));
}

TEST(ConfigurationValidate, SettingsWithoutEffectAreErrors) {
  Configuration configuration;
  configuration.set(options::kRetainedCheckpoints, 3);
  EXPECT_THAT(message_of(validate(configuration)), HasSubstr("checkpoints are off"));

  configuration = with_checkpoints();
  configuration.set(options::kAlignedCheckpointTimeout, seconds(1));
  EXPECT_THAT(message_of(validate(configuration)), HasSubstr("unaligned.enabled is not true"));

  configuration = with_checkpoints();
  configuration.set(options::kFixedDelayAttempts, 3);
  EXPECT_THAT(message_of(validate(configuration)),
              HasSubstr("the restart strategy is exponential-delay"));

  configuration = {};
  configuration.set(options::kIgnoreUnclaimedState, true);
  EXPECT_THAT(message_of(validate(configuration)), HasSubstr("execution.state-recovery.path"));
  configuration = with_checkpoints();  // the job starts from its own latest checkpoint
  configuration.set(options::kIgnoreUnclaimedState, true);
  EXPECT_TRUE(validate(configuration).ok());
}

TEST(ConfigurationValidate, ContradictionsAreErrors) {
  Configuration configuration = with_checkpoints();
  configuration.set(options::kCheckpointMinPause, seconds(11));
  EXPECT_THAT(message_of(validate(configuration)), HasSubstr("contradicts"));

  configuration = with_checkpoints();
  configuration.set(options::kCheckpointMinPause, seconds(1))
      .set(options::kMaxConcurrentCheckpoints, 2);
  EXPECT_THAT(message_of(validate(configuration)), HasSubstr("max-concurrent-checkpoints"));

  configuration = with_checkpoints();
  configuration.set(options::kUnalignedCheckpoints, true)
      .set(options::kCheckpointMode, CheckpointingMode::kAtLeastOnce);
  EXPECT_THAT(message_of(validate(configuration)), HasSubstr("AT_LEAST_ONCE"));

  configuration = with_checkpoints();
  configuration.set(options::kCheckpointStorage, CheckpointStorageType::kJobManager);
  EXPECT_THAT(message_of(validate(configuration)), HasSubstr("contradicts"));

  configuration = {};
  configuration.set(options::kParallelism, 200);
  EXPECT_THAT(message_of(validate(configuration)), HasSubstr("pipeline.max-parallelism"));
}

TEST(ConfigurationValidate, CheckpointsNeedAPlace) {
  Configuration configuration;
  configuration.set(options::kCheckpointInterval, seconds(1));
  EXPECT_THAT(message_of(validate(configuration)), HasSubstr("execution.checkpointing.dir"));
  configuration.set(options::kCheckpointStorage, CheckpointStorageType::kJobManager);
  EXPECT_THAT(message_of(validate(configuration)), HasSubstr("not available"));
  configuration.set(options::kCheckpointStorage, CheckpointStorageType::kFileSystem)
      .set(options::kCheckpointDir, "/tmp/checkpoints");
  EXPECT_EQ(message_of(validate(configuration)), "");
}

TEST(ConfigurationValidate, PlacesAreOfThisMachine) {
  for (const char* const key :
       {"execution.checkpointing.dir", "execution.checkpointing.savepoint-dir",
        "execution.state-recovery.path", "state.backend.rocksdb.localdir"}) {
    Configuration configuration;
    EXPECT_TRUE(configuration.set(key, "file:///tmp/x").ok()) << key;
    EXPECT_THAT(message_of(configuration.set(key, "s3://bucket/x")),
                AllOf(HasSubstr(key), HasSubstr("'s3://bucket/x' is on 's3'")));
    EXPECT_THAT(message_of(configuration.set(key, "")), HasSubstr("must not be empty"));
  }
}

TEST(ConfigurationValidate, WhatThisBuildLacksIsSaid) {
  Configuration configuration = with_checkpoints();
  configuration.set(options::kLocalBackup, true);
  EXPECT_THAT(message_of(validate(configuration)), HasSubstr("not available in this build"));
  configuration.set(options::kLocalBackup, false);
  EXPECT_EQ(message_of(validate(configuration)), "");
}

TEST(ConfigurationValidate, ASnapshotToStartFromNeedsCheckpoints) {
  Configuration configuration;
  configuration.set(options::kRecoveryPath, "/savepoints/savepoint-1");
  EXPECT_THAT(message_of(validate(configuration)),
              AllOf(HasSubstr("execution.state-recovery.path"), HasSubstr("no effect"),
                    HasSubstr("execution.checkpointing.interval")));
  configuration = with_checkpoints();
  configuration.set(options::kRecoveryPath, "/savepoints/savepoint-1");
  EXPECT_EQ(message_of(validate(configuration)), "");
}

TEST(ConfigurationValidate, SettingsOfRocksDbNeedRocksDb) {
  Configuration configuration;
  configuration.set(options::kRocksDbBlockSize, SizeBytes{8192});
  EXPECT_THAT(message_of(validate(configuration)),
              AllOf(HasSubstr("state.backend.rocksdb.block.blocksize"), HasSubstr("no effect"),
                    HasSubstr("state.backend.type")));
  configuration.set(options::kStateBackend, StateBackendType::kRocksDb);
  EXPECT_EQ(message_of(validate(configuration)), "");
  configuration.set(options::kSnapshotCompression, true);
  EXPECT_THAT(message_of(validate(configuration)), HasSubstr("compression.per.level"));
  configuration.set(options::kSnapshotCompression, false);
  configuration.set(options::kRocksDbBloomFilter, false).set(options::kRocksDbBloomBits, 8.0);
  EXPECT_THAT(message_of(validate(configuration)), HasSubstr("use-bloom-filter"));
  configuration.set(options::kRocksDbBloomFilter, true)
      .set(options::kRocksDbCompression, "NO_COMPRESSION; LZ4_COMPRESSION;ZSTD");
  EXPECT_EQ(message_of(validate(configuration)), "");
  configuration.set(options::kRocksDbCompression, "NO_COMPRESSION;GZIP");
  EXPECT_THAT(message_of(validate(configuration)), HasSubstr("'GZIP'"));
  configuration.set(options::kRocksDbCompression, " ");
  EXPECT_THAT(message_of(validate(configuration)), HasSubstr("use NO_COMPRESSION"));
  configuration.set(options::kRocksDbCompression, "ZSTD")
      .set(options::kRocksDbCompactionStyle, RocksDbCompactionStyle::kFifo);
  EXPECT_THAT(message_of(validate(configuration)),
              AllOf(HasSubstr("FIFO removes the oldest files"), HasSubstr("LEVEL")));
  configuration.set(options::kRocksDbCompactionStyle, RocksDbCompactionStyle::kLevel)
      .set(options::kRocksDbWriteBufferCount, 3);
  EXPECT_THAT(message_of(validate(configuration)), HasSubstr("not available"));
}

TEST(ConfigurationValidate, SettingsOfRocksDbThatDependOnOthersNameThem) {
  Configuration configuration;
  configuration.set(options::kStateBackend, StateBackendType::kRocksDb)
      .set(options::kRocksDbTargetFileSize, SizeBytes{1 << 20});
  EXPECT_THAT(message_of(validate(configuration)),
              AllOf(HasSubstr("target-file-size-base"), HasSubstr("compaction.style")));
  configuration.set(options::kRocksDbCompactionStyle, RocksDbCompactionStyle::kLevel);
  EXPECT_EQ(message_of(validate(configuration)), "");
  configuration.set(options::kRocksDbMetadataBlockSize, SizeBytes{8192});
  EXPECT_THAT(message_of(validate(configuration)), HasSubstr("partitioned-index-filters"));
  configuration.set(options::kRocksDbPartitionedMetadata, true);
  EXPECT_EQ(message_of(validate(configuration)), "");
}

TEST(ConfigurationValidate, MemoryOfRocksDbThatFlinkGivesOtherwiseNamesTheSettingThatDoes) {
  Configuration configuration;
  configuration.set(options::kStateBackend, StateBackendType::kRocksDb)
      .set(options::kRocksDbMemoryManaged, false);
  EXPECT_EQ(message_of(validate(configuration)), "");
  configuration.set(options::kRocksDbMemoryManaged, true);
  EXPECT_THAT(message_of(validate(configuration)),
              AllOf(HasSubstr("memory.managed"), HasSubstr("memory.fixed-per-tm")));
  configuration.set(options::kRocksDbMemoryManaged, false)
      .set(options::kRocksDbMemoryPerSlot, SizeBytes{1 << 20});
  EXPECT_THAT(message_of(validate(configuration)),
              AllOf(HasSubstr("memory.fixed-per-slot"), HasSubstr("memory.fixed-per-tm")));
}

TEST(ConfigurationValidate, LocalDirectoriesOfRocksDbMayBeSeveral) {
  EXPECT_EQ(detail::split_locations(" /a, file:///b ,/c"),
            (std::vector<std::string>{"/a", "file:///b", "/c"}));
  Configuration configuration;
  configuration.set(options::kStateBackend, StateBackendType::kRocksDb)
      .set(options::kRocksDbLocalDir, "/a, file:///b");
  EXPECT_EQ(message_of(validate(configuration)), "");
  configuration.set(options::kRocksDbLocalDir, "/a,s3://b");
  EXPECT_THAT(message_of(validate(configuration)), HasSubstr("s3://b"));
}

TEST(ConfigurationValidate, AllProblemsAreListedAtOnce) {
  Configuration configuration;
  configuration.set(options::kWorkers, -1).set(options::kIoThreads, 0);
  EXPECT_THAT(message_of(validate(configuration)),
              testing::AllOf(HasSubstr("weir.workers"), HasSubstr("weir.io-threads")));
}

TEST(ConfigurationValidate, DefaultsThatDependOnOtherSettings) {
  Configuration configuration;
  EXPECT_EQ(checkpoint_min_pause(configuration), milliseconds(0));
  EXPECT_EQ(restart_strategy_type(configuration), RestartStrategyType::kDisable);
  configuration = with_checkpoints();
  EXPECT_EQ(checkpoint_min_pause(configuration), seconds(5));
  EXPECT_EQ(restart_strategy_type(configuration), RestartStrategyType::kExponentialDelay);
  configuration.set(options::kMaxConcurrentCheckpoints, 2);
  EXPECT_EQ(checkpoint_min_pause(configuration), milliseconds(0));
}

}  // namespace
}  // namespace weir
