// Protobuf messages as records, as state, and as state that a later program reads.
#include "weir/protobuf.h"

#include <string>
#include <vector>

#include "account.pb.h"
#include "record/schema.h"
#include "recovery/scenario.h"
#include "weir/environment.h"

namespace weir::recovery {
namespace {

using test::Account;
using test::GrownAccount;
using test::Payment;

Payment payment_of(const Event& event) {
  Payment payment;
  payment.set_account("account-" + std::to_string(event.key));
  payment.set_cents(1);
  for (int i = 0; i < 5; ++i) {
    (*payment.mutable_tags())["tag " + std::to_string(i)] = std::to_string(event.number % 7);
  }
  return payment;
}

/// What an account has after each payment.
class Totals : public KeyedProcessFunction<std::string, Payment, Account> {
 public:
  void open(OpenContext& context) override {
    account_ = context.value_state<Account>("account");
    tags_ = context.map_state<std::string, Payment>("by tag");
  }
  void process_element(const Payment& payment, Context&, Collector<Account>& out) override {
    Account& account = account_.mutable_value();
    account.set_name(payment.account());
    account.set_cents(account.cents() + payment.cents());
    if (account.last_size() == 2) {
      account.mutable_last()->DeleteSubrange(0, 1);
    }
    *account.add_last() = payment;
    tags_.put(payment.tags().at("tag 0"), payment);
    out.collect(account);
  }

 private:
  ValueState<Account> account_;
  MapState<std::string, Payment> tags_;
};

class ProtobufTest : public RecoveryTest {
 protected:
  Result<JobResult> run(const Configuration& settings, Bomb bomb) const {
    Environment environment(settings);
    events(environment)
        .map(std::move(bomb))
        .uid("bomb")
        .map(&payment_of)
        .uid("payments")
        .key_by([](const Payment& payment) { return payment.account(); })
        .process(Totals())
        .uid("totals")
        .map([](const Account& account) {
          return Counted{std::stoll(account.name().substr(8)), account.cents()};
        })
        .uid("counted")
        .sink_to(std::make_shared<MemorySink<Counted>>(counts_))
        .uid("out");
    return environment.execute("protobuf");
  }
};

// Every edge compares sums over the encoded records of both ends: maps must have one order.
TEST_F(ProtobufTest, AJobOfMessagesSurvivesFailuresAndRescales) {
  source_.count = 6'000;
  expect_state(run(configuration(2), Bomb::throwing(2'000)), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
  counts_ = std::make_shared<Target<Counted>>();
  Configuration settings = configuration(2, 0);
  settings.set(options::kJobId, "rescaled");
  settings.set(options::kUnalignedCheckpoints, true);
  expect_state(run(settings, Bomb::stopping(3'000)), JobState::kSuspended);
  settings.set(options::kParallelism, 3);
  expect_state(run(settings, dud()), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST(Protobuf, StoredFormIsALengthAndTheWireForm) {
  Payment payment;
  payment.set_account("a");
  const std::string encoded = encode_value(payment);
  EXPECT_EQ(encoded, std::string("\x03") + payment.SerializeAsString());
  EXPECT_EQ(Codec<Payment>::schema(), "protobuf<weir.test.Payment>");
  const Schema schema = Schema::parse(Codec<std::vector<Payment>>::schema()).value();
  EXPECT_TRUE(can_be_skipped(schema));
  EXPECT_EQ(schema.to_string(), "list<protobuf<weir.test.Payment>>");
  for (std::size_t size = 0; size < encoded.size(); ++size) {
    EXPECT_FALSE(decode_value<Payment>(encoded.substr(0, size)).has_value()) << size;
  }
  EXPECT_FALSE(decode_value<Payment>(std::string("\x02\xff\xff", 3)).has_value()) << "no message";
}

TEST(Protobuf, FieldsThatAProgramDoesNotKnowAreKept) {
  GrownAccount grown;
  grown.set_name("x");
  grown.set_currency("EUR");
  const auto old = decode_value<Account>(encode_value(grown));
  ASSERT_TRUE(old.has_value());
  const auto again = decode_value<GrownAccount>(encode_value(*old));
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->currency(), "EUR");
}

}  // namespace
}  // namespace weir::recovery
