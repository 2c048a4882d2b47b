#include <cstdint>
#include <unordered_map>
#include <utility>

#include <nlohmann/json.hpp>

#include <gyre/js/internal/file_url.h>
#include <gyre/js/internal/package_json.h>
#include <gyre/js/internal/utf8.h>

namespace gyre::js::internal {
namespace {

constexpr std::size_t kMaxDepth = 64;

/// Builds the few fields wanted while the text streams by; the rest of the file is checked but not kept.
class PackageJsonReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit PackageJsonReader(PackageJson& package) : package_(package) {}

  const std::string& problem() const { return problem_; }

  bool null() override { return scalar(PackageTarget::Kind::null, {}); }
  bool boolean(bool value) override { return scalar(PackageTarget::Kind::other, value ? "true" : "false"); }
  bool number_integer(number_integer_t value) override {
    return scalar(PackageTarget::Kind::other, std::to_string(value));
  }
  bool number_unsigned(number_unsigned_t value) override {
    return scalar(PackageTarget::Kind::other, std::to_string(value));
  }
  bool number_float(number_float_t, const string_t& text) override {
    return scalar(PackageTarget::Kind::other, std::string(text));
  }
  bool string(string_t& value) override { return scalar(PackageTarget::Kind::string, std::move(value)); }
  bool binary(binary_t&) override { return false; }  // does not occur in JSON text

  bool start_object(std::size_t) override { return open(PackageTarget::Kind::object); }
  bool start_array(std::size_t) override { return open(PackageTarget::Kind::list); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    if (depth_ == 1) {
      field_ = std::move(name);
    } else if (!frames_.empty()) {
      frames_.back().key = std::move(name);
    }
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: ..." without the library's own tags.
    std::string_view text = error.what();
    if (const auto end = text.find("] "); end != text.npos) text.remove_prefix(end + 2);
    if (text.starts_with("parse error at ")) text.remove_prefix(15);
    problem_ = text;
    return false;
  }

 private:
  /// An object or list under construction.
  struct Frame {
    PackageTarget target;
    std::string key;
    std::unordered_map<std::string, std::size_t> index;  // where each key stands: a repeated key replaces its value
  };

  bool is_kept() const { return field_ == "exports" || field_ == "imports"; }

  bool scalar(PackageTarget::Kind kind, std::string text) {
    if (depth_ == 0) return not_an_object();
    if (depth_ == 1 && !is_kept()) {
      plain_field(kind, std::move(text));
    } else if (is_kept()) {
      PackageTarget target;
      target.kind = kind;
      target.text = std::move(text);
      place(std::move(target));
    }
    return true;
  }

  bool open(PackageTarget::Kind kind) {
    if (depth_ == 0 && kind != PackageTarget::Kind::object) return not_an_object();
    ++depth_;
    if (depth_ == 1) return true;
    if (depth_ == 2 && !is_kept()) plain_field(kind, {});
    if (!is_kept()) return true;
    if (frames_.size() == kMaxDepth) {
      problem_ = fmt::format("\"{}\" is nested more than {} deep", field_, kMaxDepth);
      return false;
    }
    frames_.emplace_back().target.kind = kind;
    return true;
  }

  bool close() {
    --depth_;
    if (!frames_.empty()) {
      PackageTarget finished = std::move(frames_.back().target);
      frames_.pop_back();
      place(std::move(finished));
    }
    return true;
  }

  void place(PackageTarget target) {
    if (frames_.empty()) {
      const bool is_object = target.kind == PackageTarget::Kind::object;
      const bool is_null = target.kind == PackageTarget::Kind::null;
      auto& field = field_ == "exports" ? package_.exports : package_.imports;
      field.reset();
      if (field_ == "exports" ? !is_null : is_object) field = std::move(target);
      return;
    }
    Frame& frame = frames_.back();
    if (frame.target.kind == PackageTarget::Kind::list) {
      frame.target.values.push_back(std::move(target));
      return;
    }
    const auto [position, is_new] = frame.index.try_emplace(frame.key, frame.target.values.size());
    if (is_new) {
      frame.target.keys.push_back(std::move(frame.key));
      frame.target.values.push_back(std::move(target));
    } else {
      frame.target.values[position->second] = std::move(target);
    }
  }

  void plain_field(PackageTarget::Kind kind, std::string text) {
    const bool is_string = kind == PackageTarget::Kind::string;
    if (field_ == "type") {
      package_.type = !is_string           ? PackageType::none
                      : text == "module"   ? PackageType::module
                      : text == "commonjs" ? PackageType::commonjs
                                           : PackageType::none;
    } else if (field_ == "name" || field_ == "main") {
      auto& field = field_ == "name" ? package_.name : package_.main;
      field.reset();
      if (is_string) field = std::move(text);
    }
  }

  bool not_an_object() {
    problem_ = "it must hold a JSON object";
    return false;
  }

  PackageJson& package_;
  std::string problem_;
  std::string field_;  // the top-level field being read
  std::size_t depth_ = 0;
  std::vector<Frame> frames_;
};

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

void append_json(std::string& out, const PackageTarget& target, std::size_t limit) {
  const bool is_object = target.kind == PackageTarget::Kind::object;
  switch (target.kind) {
    case PackageTarget::Kind::null:
      out += "null";
      return;
    case PackageTarget::Kind::string:
      append_json_string(out, target.text);
      return;
    case PackageTarget::Kind::other:
      out += target.text;
      return;
    case PackageTarget::Kind::list:
    case PackageTarget::Kind::object:
      break;
  }
  out += is_object ? '{' : '[';
  for (std::size_t index = 0; index < target.values.size(); ++index) {
    if (index > 0) out += ',';
    if (out.size() > limit) {
      out += "...";
      break;
    }
    if (is_object) {
      append_json_string(out, target.keys[index]);
      out += ':';
    }
    append_json(out, target.values[index], limit);
  }
  out += is_object ? '}' : ']';
}

}  // namespace

const PackageTarget* PackageTarget::find(std::string_view key) const {
  for (std::size_t index = 0; index < keys.size(); ++index) {
    if (keys[index] == key) return &values[index];
  }
  return nullptr;
}

std::string PackageTarget::to_json(std::size_t limit) const {
  std::string json;
  append_json(json, *this, limit);
  return json;
}

std::string PackageJson::path() const {
  return join_path(directory, "package.json");
}

Result<PackageJson> parse_package_json(std::string_view text, std::string directory) {
  // The library would take a NUL for the end of the text.
  if (text.find('\0') != text.npos) return fail(Errc::invalid_argument, "it contains a NUL character");
  PackageJson package;
  package.directory = std::move(directory);
  PackageJsonReader reader(package);
  if (!nlohmann::json::sax_parse(text, &reader)) return fail(Errc::invalid_argument, "{}", reader.problem());
  return package;
}

}  // namespace gyre::js::internal
