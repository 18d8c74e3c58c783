// Requests byte by byte, answers decoded, and every answer cut at every byte.
#include "kafka/protocol.h"

#include <gtest/gtest.h>

namespace weir::kafka {
namespace {

std::string bytes(std::initializer_list<int> values) {
  std::string out;
  for (const int value : values) {
    out.push_back(static_cast<char>(value));
  }
  return out;
}

/// Cuts `body` everywhere: a decoder must refuse each piece and read past no end.
template <class Decode>
void refuses_every_cut(const std::string& body, const Decode& decode) {
  for (std::size_t size = 0; size < body.size(); ++size) {
    EXPECT_FALSE(decode(std::string_view(body).substr(0, size)).has_value()) << size;
  }
  EXPECT_TRUE(decode(body).has_value());
}

TEST(KafkaProtocol, ARequestFrameHasLengthHeaderAndBody) {
  const std::string frame = encode_request(kEndTxnV1, 5, "ab", "XY");
  EXPECT_EQ(frame, bytes({0, 0, 0, 14, 0, 26, 0, 1, 0, 0, 0, 5, 0, 2, 'a', 'b', 'X', 'Y'}));
  // Flexible versions have tagged fields after the client id, which itself stays non-compact.
  const std::string flexible = encode_request(kListTransactionsV0, 5, "ab", "");
  EXPECT_EQ(flexible, bytes({0, 0, 0, 13, 0, 66, 0, 0, 0, 0, 0, 5, 0, 2, 'a', 'b', 0}));
}

TEST(KafkaProtocol, AnAnswerToAnotherRequestIsRefused) {
  const std::string frame = bytes({0, 0, 0, 5, 'X'});
  EXPECT_EQ(response_body(kEndTxnV1, 5, frame), "X");
  EXPECT_FALSE(response_body(kEndTxnV1, 6, frame).has_value());
  EXPECT_FALSE(response_body(kEndTxnV1, 5, "ab").has_value());
}

TEST(KafkaProtocol, EndTxnNamesTheStoredIdentity) {
  const std::string body = encode_end_txn({"id", 258, 3}, true);
  EXPECT_EQ(body, bytes({0, 2, 'i', 'd', 0, 0, 0, 0, 0, 0, 1, 2, 0, 3, 1}));
  const std::string answer = bytes({0, 0, 0, 0, 0, 48});
  EXPECT_EQ(decode_end_txn(answer), std::optional<std::int16_t>(kInvalidTxnState));
  refuses_every_cut(answer, decode_end_txn);
}

TEST(KafkaProtocol, FindCoordinatorGivesAnAddress) {
  EXPECT_EQ(encode_find_coordinator("k", CoordinatorType::kTransaction), bytes({0, 1, 'k', 1}));
  const std::string answer =
      bytes({0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 0, 7, 0, 1, 'h', 0, 0, 35, 132});
  const auto coordinator = decode_find_coordinator(answer);
  ASSERT_TRUE(coordinator.has_value());
  EXPECT_EQ(coordinator->node_id, 7);
  EXPECT_EQ(coordinator->host, "h");
  EXPECT_EQ(coordinator->port, 9092);
  refuses_every_cut(answer, decode_find_coordinator);
}

TEST(KafkaProtocol, OffsetFetchUsesCompactForms) {
  EXPECT_EQ(encode_offset_fetch("g", {{"t", 0}}, true),
            bytes({2, 'g', 2, 2, 't', 2, 0, 0, 0, 0, 0, 1, 0}));
  const std::string answer =
      bytes({0, 0,   0,   0, 2, 2, 't', 2, 0,   0,   0,   0,    // throttle, topic t, partition 0
             0, 0,   0,   0, 0, 0, 0,   9, 255, 255, 255, 255,  // offset 9, no leader epoch
             3, 'm', 'd', 0, 0, 0, 0,   0, 0,   0});            // metadata, errors, tags
  const auto fetched = decode_offset_fetch(answer);
  ASSERT_TRUE(fetched.has_value());
  ASSERT_EQ(fetched->offsets.size(), 1U);
  EXPECT_EQ(fetched->offsets[0].offset, 9);
  EXPECT_EQ(fetched->offsets[0].metadata, "md");
  EXPECT_EQ(fetched->offsets[0].where, (TopicPartition{"t", 0}));
  refuses_every_cut(answer, decode_offset_fetch);
}

TEST(KafkaProtocol, MetadataCarriesTopicIdsInItsNewForm) {
  std::string answer = bytes({0, 0, 0, 0,                                   // throttle
                              2, 0, 0, 0, 1,  2, 'h', 0, 0, 35, 132, 0, 0,  // one broker
                              0, 0, 0, 0, 1,                                // cluster
                              2, 0, 0, 2, 't'});                            // one topic
  answer += std::string(15, '\0') + "\x2a";                                 // its id
  answer += bytes({0, 2, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0,          // partition 3
                   2, 0, 0, 0, 1, 2, 0, 0, 0, 1, 1, 0,                      // replicas
                   0, 0, 0, 0, 0, 0});
  const auto decode = [](std::string_view body) { return decode_metadata(kMetadataV12, body); };
  const auto metadata = decode(answer);
  ASSERT_TRUE(metadata.has_value());
  ASSERT_EQ(metadata->topics.size(), 1U);
  EXPECT_EQ(topic_id_text(metadata->topics[0].id), "0000000000000000000000000000002a");
  ASSERT_EQ(metadata->topics[0].partitions.size(), 1U);
  EXPECT_EQ(metadata->topics[0].partitions[0].partition, 3);
  EXPECT_EQ(metadata->topics[0].partitions[0].leader, 1);
  EXPECT_EQ(metadata->brokers.at(0).port, 9092);
  refuses_every_cut(answer, decode);
}

TEST(KafkaProtocol, CountsAreNotTrusted) {
  const std::string large = bytes({127, 255, 255, 255});
  WireReader in(large);
  EXPECT_EQ(in.array(), 0U);
  EXPECT_FALSE(in.ok());
  const std::string large_varint = bytes({255, 255, 255, 255, 15, 1, 1});
  WireReader compact(large_varint);
  EXPECT_EQ(compact.compact_array(), 0U);
  EXPECT_FALSE(compact.ok());
  const std::string endless_varint = bytes({255, 255, 255, 255, 255, 255});
  WireReader endless(endless_varint);
  endless.varint();
  EXPECT_FALSE(endless.ok());
  WireReader tags(large_varint);
  tags.skip_tags();
  EXPECT_FALSE(tags.ok());
}

TEST(KafkaProtocol, ListedTransactionsAreDecoded) {
  const std::string answer =
      bytes({0, 0, 0, 0, 0, 0, 1, 2, 3, 'i', 'd', 0, 0, 0, 0, 0, 0, 0, 5, 3, 'O', 'n', 0, 0});
  const auto listed = decode_list_transactions(answer);
  ASSERT_TRUE(listed.has_value());
  ASSERT_EQ(listed->transactions.size(), 1U);
  EXPECT_EQ(listed->transactions[0].transactional_id, "id");
  EXPECT_EQ(listed->transactions[0].producer_id, 5);
  EXPECT_EQ(listed->transactions[0].state, "On");
  refuses_every_cut(answer, decode_list_transactions);
}

}  // namespace
}  // namespace weir::kafka
