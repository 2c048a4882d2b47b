#include <algorithm>

#include <fmt/format.h>

#include <gyre/js/internal/file_url.h>
#include <gyre/js/internal/package_match.h>

namespace gyre::js::internal {
namespace {

constexpr std::size_t kShownTarget = 120;

// What `name` puts in the place of the star of `pattern`, if the pattern fits.
std::optional<std::string_view> star_of(std::string_view pattern, std::string_view name) {
  const std::size_t star = pattern.find('*');
  if (star == pattern.npos || pattern.find('*', star + 1) != pattern.npos) return std::nullopt;
  const std::string_view before = pattern.substr(0, star);
  const std::string_view after = pattern.substr(star + 1);
  if (name.size() < pattern.size() || !name.starts_with(before) || !name.ends_with(after)) return std::nullopt;
  return name.substr(star, name.size() - before.size() - after.size());
}

// PATTERN_KEY_COMPARE: the longer text before the star wins, then the longer key.
bool is_more_specific(std::string_view pattern, std::string_view than) {
  const std::size_t star = pattern.find('*');
  const std::size_t other_star = than.find('*');
  return star != other_star ? star > other_star : pattern.size() > than.size();
}

// JavaScript puts keys that are array indices first, whatever the file's order, so that conditions cannot use them.
bool is_array_index(std::string_view key) {
  if (key.empty() || key.size() > 10 || (key.size() > 1 && key[0] == '0')) return false;
  std::uint64_t value = 0;
  for (const char c : key) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return value < 0xFFFF'FFFF;
}

std::string replace_stars(std::string_view text, std::string_view star) {
  std::string result;
  for (const char c : text) {
    if (c == '*') {
      result += star;
    } else {
      result += c;
    }
  }
  return result;
}

using SelectionResult = std::expected<Selection, SelectionProblem>;

std::unexpected<SelectionProblem> problem(SelectionProblem::Kind kind, std::string reason) {
  return std::unexpected(SelectionProblem{kind, std::move(reason)});
}

std::unexpected<SelectionProblem> invalid_target(const PackageTarget& target, std::string_view reason) {
  return problem(SelectionProblem::Kind::invalid_target, fmt::format("{} {}", target.to_json(kShownTarget), reason));
}

/// One walk through the conditions and alternatives of a match.
class Selector {
 public:
  Selector(const PackageMatch& match, PackageMap map, std::span<const std::string> conditions)
      : match_(match), map_(map), conditions_(conditions) {}

  SelectionResult select(const PackageTarget& target) const {
    switch (target.kind) {
      case PackageTarget::Kind::null:
        return Selection{Selection::Kind::closed, {}};
      case PackageTarget::Kind::string:
        return select_text(target);
      case PackageTarget::Kind::list:
        return select_alternative(target);
      case PackageTarget::Kind::object:
        return select_condition(target);
      case PackageTarget::Kind::other:
        break;
    }
    return invalid_target(target, "is neither a string nor an object");
  }

 private:
  SelectionResult select_text(const PackageTarget& target) const {
    const std::string_view text = target.text;
    if (!text.starts_with("./")) return select_package(target);
    if (has_forbidden_segment(text.substr(2))) {
      return invalid_target(target, "has a '.', '..' or 'node_modules' segment, and a target must stay in its package");
    }
    return substitute(Selection::Kind::file, text);
  }

  SelectionResult select_package(const PackageTarget& target) const {
    const std::string_view text = target.text;
    if (map_ == PackageMap::exports) return invalid_target(target, "does not start with './'");
    const std::string scheme = url_scheme(text);
    const bool is_builtin = scheme == "gyre" || scheme == "node";
    if (text.empty() || text.starts_with("../") || text.starts_with('/') || text.starts_with('#') ||
        (!scheme.empty() && !is_builtin)) {
      return invalid_target(target, "is neither a file of the package ('./...') nor the name of another package");
    }
    return substitute(Selection::Kind::package, text);
  }

  SelectionResult substitute(Selection::Kind kind, std::string_view text) const {
    if (!match_.star) return Selection{kind, std::string(text)};
    if (kind == Selection::Kind::file && has_forbidden_segment(*match_.star)) {
      return problem(
          SelectionProblem::Kind::invalid_request,
          fmt::format("a '.', '..' or 'node_modules' segment cannot stand for the '*' of \"{}\"", match_.key));
    }
    return Selection{kind, replace_stars(text, *match_.star)};
  }

  SelectionResult select_alternative(const PackageTarget& target) const {
    SelectionResult last = Selection{Selection::Kind::none, {}};
    if (target.values.empty()) return Selection{Selection::Kind::closed, {}};
    for (const PackageTarget& alternative : target.values) {
      SelectionResult result = select(alternative);
      if (!result && result.error().kind != SelectionProblem::Kind::invalid_target) return result;
      const bool is_found = result && result->kind != Selection::Kind::closed && result->kind != Selection::Kind::none;
      if (is_found) return result;
      if (!result || result->kind == Selection::Kind::closed) last = std::move(result);
    }
    return last;
  }

  SelectionResult select_condition(const PackageTarget& target) const {
    for (const std::string& key : target.keys) {
      if (is_array_index(key)) {
        return problem(SelectionProblem::Kind::invalid_config,
                       fmt::format("the condition \"{}\" is a number, and conditions are names", key));
      }
    }
    for (std::size_t index = 0; index < target.keys.size(); ++index) {
      const std::string& key = target.keys[index];
      if (key != "default" && std::ranges::find(conditions_, key) == conditions_.end()) continue;
      SelectionResult result = select(target.values[index]);
      if (!result || result->kind != Selection::Kind::none) return result;
    }
    return Selection{Selection::Kind::none, {}};
  }

  const PackageMatch& match_;
  PackageMap map_;
  std::span<const std::string> conditions_;
};

}  // namespace

std::optional<PackageMatch> find_match(const PackageTarget& map, std::string_view name) {
  const bool is_pattern = name.find('*') != name.npos;
  if (!is_pattern && !name.ends_with('/')) {
    if (const PackageTarget* target = map.find(name)) return PackageMatch{name, target, std::nullopt};
  }
  std::optional<PackageMatch> best;
  for (std::size_t index = 0; index < map.keys.size(); ++index) {
    const std::string_view key = map.keys[index];
    const std::optional<std::string_view> star = star_of(key, name);
    if (star && (!best || is_more_specific(key, best->key))) best = PackageMatch{key, &map.values[index], star};
  }
  return best;
}

std::expected<Selection, SelectionProblem> select_target(const PackageMatch& match, PackageMap map,
                                                         std::span<const std::string> conditions) {
  return Selector(match, map, conditions).select(*match.target);
}

std::expected<bool, SelectionProblem> is_main_target(const PackageTarget& exports) {
  using Kind = PackageTarget::Kind;
  if (exports.kind == Kind::string || exports.kind == Kind::list) return true;
  if (exports.kind != Kind::object || exports.keys.empty()) return false;
  const auto is_subpath = [](std::string_view key) { return key.starts_with('.'); };
  const auto subpaths = std::ranges::count_if(exports.keys, is_subpath);
  if (subpaths == 0) return true;
  if (static_cast<std::size_t>(subpaths) == exports.keys.size()) return false;
  const auto odd = std::ranges::find_if_not(exports.keys, is_subpath);
  return problem(SelectionProblem::Kind::invalid_config,
                 fmt::format("\"exports\" mixes subpaths (keys that start with '.') with conditions (\"{}\")", *odd));
}

std::vector<std::string_view> condition_names(const PackageTarget& target) {
  constexpr std::size_t kMaxNames = 16;
  std::vector<std::string_view> names;
  const auto visit = [&names](const auto& self, const PackageTarget& node) -> void {
    for (const std::string& key : node.keys) {
      if (names.size() == kMaxNames) return;
      if (std::ranges::find(names, key) == names.end()) names.emplace_back(key);
    }
    for (const PackageTarget& value : node.values) self(self, value);
  };
  visit(visit, target);
  return names;
}

bool has_forbidden_segment(std::string_view path) {
  for (std::size_t start = 0, end = 0; start <= path.size(); start = end + 1) {
    end = std::min(path.find_first_of("/\\", start), path.size());
    const std::string segment = plain_segment(path.substr(start, end - start));
    if (segment == "." || segment == ".." || segment == "node_modules") return true;
  }
  return false;
}

}  // namespace gyre::js::internal
