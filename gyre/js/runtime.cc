#include <gyre/js/internal/runtime_core.h>
#include <gyre/js/runtime.h>

namespace gyre::js {

using internal::RuntimeCore;

Runtime::Runtime(Loop& loop, Engine& engine, RuntimeOptions options)
    : core_(std::make_shared<RuntimeCore>(loop, engine, std::move(options))) {
  core_->start();
}
Runtime::~Runtime() { core_->dispose(); }

Result<Value> Runtime::eval(std::string_view code, std::string_view name) { return core_->eval(code, name); }
Result<void> Runtime::run_file(std::string_view path) { return core_->run_file(path); }
Result<void> Runtime::run_code(std::string_view code, std::string_view name, std::string_view directory) {
  return core_->run_code(code, name, directory);
}

void Runtime::define(std::string_view name, UniqueFunction<Local(Realm&)> make) {
  if (!core_->check_usable()) return;
  const RuntimeCore::Entry entry(*core_);
  core_->realm->set(core_->realm->global(), name, make(*core_->realm));
}

Result<Value> Runtime::get(std::string_view name) {
  if (auto usable = core_->check_usable(); !usable) return std::unexpected(usable.error());
  const RuntimeCore::Entry entry(*core_);
  const Completion completion = core_->realm->get(core_->realm->global(), name);
  if (!completion.is_value()) return std::unexpected(core_->to_error(completion));
  return core_->make_value(completion.value);
}

Result<Value> Runtime::call_global(std::string_view name, UniqueFunction<std::vector<Local>(Realm&)> arguments) {
  const auto function = get(name);
  if (!function) return function;
  if (!function->is_function()) return fail(Errc::wrong_type, "the global '{}' is not a function", name);
  return internal::call_value(core_, *function, std::move(arguments));
}

Value Runtime::make_value(UniqueFunction<Local(Realm&)> make) {
  if (!core_->check_usable()) return {};
  const RuntimeCore::Entry entry(*core_);
  return core_->make_value(make(*core_->realm));
}

void Runtime::request_stop(int exit_code) { core_->request_stop(exit_code); }

RuntimeEnd Runtime::end() const { return core_->end; }
int Runtime::exit_code() const { return core_->exit_code; }
const Error* Runtime::limit_error() const { return core_->limit_error ? &*core_->limit_error : nullptr; }
MemoryUsage Runtime::memory_usage() const {
  const Scope scope(*core_->realm);
  return core_->realm->memory_usage();
}
Loop& Runtime::loop() const { return core_->loop; }

// --- Value -------------------------------------------------------------------------------------------------------------

Value::Value(std::shared_ptr<RuntimeCore> core, Local local) : cell_(std::make_shared<internal::ValueCell>()) {
  cell_->persistent = Persistent(*core->realm, local);
  core->add_cell(*cell_);
  cell_->core = std::move(core);
}

const std::shared_ptr<RuntimeCore>& Value::core() const { return cell_->core; }

Local Value::local() const { return cell_->persistent.get(); }

ValueType Value::type() const {
  ValueType type = ValueType::undefined;
  static_cast<void>(internal::read_value(*this, [&](Realm& realm, Local value) { type = realm.type_of(value); }));
  return type;
}

Result<Value> Value::get(std::string_view key) const {
  if (is_empty()) return fail(Errc::wrong_type, "an empty value has no properties");
  RuntimeCore& core = *cell_->core;
  if (auto usable = core.check_usable(); !usable) return std::unexpected(usable.error());
  const RuntimeCore::Entry entry(core);
  const ValueType type = core.realm->type_of(local());
  if (type != ValueType::object && type != ValueType::function) {
    return fail(Errc::wrong_type, "cannot read '{}' of a value that is no object", key);
  }
  const Completion completion = core.realm->get(local(), key);
  if (!completion.is_value()) return std::unexpected(core.to_error(completion));
  return core.make_value(completion.value);
}

std::string Value::to_string() const {
  if (is_empty() || !cell_->core->check_usable()) return "undefined";
  const RuntimeCore::Entry entry(*cell_->core);
  return cell_->core->inspect(local());
}

namespace internal {

Result<Value> call_value(const std::shared_ptr<RuntimeCore>& core, const Value& function,
                         UniqueFunction<std::vector<Local>(Realm&)> arguments) {
  if (auto usable = core->check_usable(); !usable) return std::unexpected(usable.error());
  const RuntimeCore::Entry entry(*core);
  const std::vector<Local> locals = arguments(*core->realm);
  return core->call(function.local(), locals);
}

Result<Value> call_value(const Value& function, UniqueFunction<std::vector<Local>(Realm&)> arguments) {
  if (!function.is_function()) return fail(Errc::wrong_type, "the value is not a function");
  return call_value(function.core(), function, std::move(arguments));
}

Result<void> read_value(const Value& value, UniqueFunction<void(Realm&, Local)> read) {
  if (value.is_empty()) return fail(Errc::wrong_type, "the value is empty");
  RuntimeCore& core = *value.core();
  if (core.realm == nullptr) return fail(Errc::terminated, "the value's runtime has ended");
  const Scope scope(*core.realm);
  read(*core.realm, value.local());
  return {};
}

Error wrong_type(Realm& realm, std::string_view expected, Local value) {
  static constexpr std::string_view kNames[] = {"undefined", "null",     "a boolean", "a number",  "a bigint",
                                                "a string",  "a symbol", "a function", "an object"};
  const ValueType type = realm.type_of(value);
  std::string got(kNames[static_cast<std::size_t>(type)]);
  if (type == ValueType::number || type == ValueType::bigint) got += " (" + realm.to_utf8(value) + ")";
  return Error(Errc::wrong_type, fmt::format("expected {}, got {}", expected, got));
}

}  // namespace internal
}  // namespace gyre::js
