#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <tests/support/process.h>

// Runs every case of cases/manifest.tsv as a test of its own: see README.md.

namespace gyre {
namespace {

const std::string kFolder = GYRE_SOURCE_DIR "/tests/conformance/";

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Case {
  std::string name;
  std::string category;
};

std::vector<Case> cases_of(std::string_view category) {
  std::istringstream manifest(read_file(kFolder + "cases/manifest.tsv"));
  std::vector<Case> cases;
  std::string line;
  std::getline(manifest, line);  // the names of the columns
  while (std::getline(manifest, line)) {
    std::istringstream fields(line);
    Case entry;
    if (fields >> entry.name >> entry.category && entry.category == category) cases.push_back(std::move(entry));
  }
  return cases;
}

/// Reasons by name.
const std::map<std::string, std::string>& known_differences() {
  static const auto differences = [] {
    std::istringstream lines(read_file(kFolder + "known_differences.txt"));
    std::map<std::string, std::string> reasons;
    std::string line;
    while (std::getline(lines, line)) {
      std::istringstream fields(line);
      std::string name;
      std::string reason;
      if (!(fields >> name) || name.starts_with('#')) continue;
      std::getline(fields >> std::ws, reason);
      reasons.emplace(name, reason);
    }
    return reasons;
  }();
  return differences;
}

int expected_status(std::string_view source) {
  constexpr std::string_view kSign = "// exit: ";
  return source.starts_with(kSign) ? std::stoi(std::string(source.substr(kSign.size(), 3))) : 0;
}

class Conformance : public ::testing::TestWithParam<Case> {};

TEST_P(Conformance, PrintsWhatNodePrints) {
  const std::string path = kFolder + "cases/" + GetParam().name;
  const auto result = testing::run_process({GYRE_COMMAND, "run", path + ".js"});
  const std::string expected = read_file(path + ".expected");
  const int status = expected_status(read_file(path + ".js"));
  const auto difference = known_differences().find(GetParam().name);
  if (difference == known_differences().end()) {
    EXPECT_FALSE(result.timed_out);
    EXPECT_EQ(result.output, expected) << result.errors;
    EXPECT_EQ(result.status, status) << result.errors;
  } else {
    EXPECT_FALSE(result.status == status && result.output == expected)
        << "it passes now: take its line out of known_differences.txt (" << difference->second << ")";
  }
}

// ctest's names allow no dashes.
std::string test_name(const ::testing::TestParamInfo<Case>& info) {
  std::string name = info.param.name;
  for (char& c : name) {
    if (c == '-') c = '_';
  }
  return name;
}

#define GYRE_CATEGORY(category) \
  INSTANTIATE_TEST_SUITE_P(category, Conformance, ::testing::ValuesIn(cases_of(#category)), test_name)
GYRE_CATEGORY(abort);
GYRE_CATEGORY(clone);
GYRE_CATEGORY(console);
GYRE_CATEGORY(errors);
GYRE_CATEGORY(events);
GYRE_CATEGORY(ordering);
GYRE_CATEGORY(process);
GYRE_CATEGORY(promises);
GYRE_CATEGORY(timers);
GYRE_CATEGORY(web);

TEST(ConformanceLists, EveryKnownDifferenceIsACaseWithAReason) {
  for (const auto& [name, reason] : known_differences()) {
    EXPECT_TRUE(std::ifstream(kFolder + "cases/" + name + ".js")) << name;
    EXPECT_FALSE(reason.empty()) << name;
  }
}

TEST(ConformanceLists, EveryCaseHasACategoryThatIsRun) {
  std::size_t listed = 0;
  for (const char* category :
       {"abort", "clone", "console", "errors", "events", "ordering", "process", "promises", "timers", "web"}) {
    listed += cases_of(category).size();
  }
  std::istringstream manifest(read_file(kFolder + "cases/manifest.tsv"));
  std::size_t lines = 0;
  for (std::string line; std::getline(manifest, line);) ++lines;
  EXPECT_EQ(listed, lines - 1);
}

}  // namespace
}  // namespace gyre
