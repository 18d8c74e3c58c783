#include "kafka/scram.h"

#include <gtest/gtest.h>

namespace weir::kafka {
namespace {

constexpr const char* kNonce = "rOprNGfwEbeRWgbNEkqO";
constexpr const char* kServerFirst =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
constexpr const char* kWithoutProof = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

ScramClient client(ScramHash hash) { return {hash, "user", Secret("pencil"), kNonce}; }

TEST(Scram, TheExampleOfRfc7677IsReproduced) {
  ScramClient scram = client(ScramHash::kSha256);
  EXPECT_EQ(scram.first_message(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
  const auto final = scram.final_message(kServerFirst);
  ASSERT_TRUE(final.ok());
  EXPECT_EQ(final.value(),
            std::string(kWithoutProof) + ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
  EXPECT_TRUE(scram.verify_server("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").ok());
}

// Values from an independent implementation (Python's hashlib and hmac).
TEST(Scram, Sha512AgreesWithAnotherImplementation) {
  ScramClient scram = client(ScramHash::kSha512);
  const auto final = scram.final_message(kServerFirst);
  ASSERT_TRUE(final.ok());
  EXPECT_EQ(final.value(), std::string(kWithoutProof) + ",p=" +
                               "gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw"
                               "+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTxwnYPJQ==");
  EXPECT_TRUE(scram
                  .verify_server("v=ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0v"
                                 "SVlKDanekLtifDSeVGT4+5ZxXnJq199RVG2rR7N7Zw==")
                  .ok());
}

TEST(Scram, AServerThatDoesNotKnowThePasswordIsRefused) {
  ScramClient scram = client(ScramHash::kSha256);
  EXPECT_FALSE(scram.verify_server("v=").ok()) << "before any challenge";
  ASSERT_TRUE(scram.final_message(kServerFirst).ok());
  for (const char* answer :
       {"", "v=", "v=AAAA", "v=****", "v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="}) {
    EXPECT_FALSE(scram.verify_server(answer).ok()) << answer;
  }
  const Status refused = scram.verify_server("e=invalid-proof");
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("invalid-proof"), std::string::npos);
}

TEST(Scram, AMalformedChallengeIsRefused) {
  for (const char* challenge :
       {"", "r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "r=rOprNGfwEbeRWgbNEkqOx,s=,i=4096", "r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=0",
        "r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=999999999", "r=rOprNGfwEbeRWgbNEkqOx,s=!!!!,i=1"}) {
    ScramClient scram = client(ScramHash::kSha256);
    EXPECT_FALSE(scram.final_message(challenge).ok()) << challenge;
  }
}

TEST(Scram, NamesWithSeparatorsAreEscapedAndNoncesDiffer) {
  const ScramClient scram(ScramHash::kSha256, "a,b=c", Secret("x"), "n");
  EXPECT_EQ(scram.first_message(), "n,,n=a=2Cb=3Dc,r=n");
  EXPECT_NE(random_nonce(), random_nonce());
  EXPECT_EQ(random_nonce().find(','), std::string::npos);
}

}  // namespace
}  // namespace weir::kafka
