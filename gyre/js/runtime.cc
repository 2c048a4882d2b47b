#include <stdexcept>

#include <gyre/js/internal/runtime_core.h>
#include <gyre/js/runtime.h>

namespace gyre::js {

using internal::RuntimeCore;

Runtime::Runtime(Loop& loop, Engine& engine, RuntimeOptions options)
    : core_(std::make_shared<RuntimeCore>(loop, std::move(options))) {
  try {
    core_->start(engine);
  } catch (...) {
    core_->dispose();
    throw;
  }
}
Runtime::~Runtime() {
  core_->dispose();
}

Result<Value> Runtime::eval(std::string_view code, std::string_view name) {
  return core_->eval(code, name);
}
Result<void> Runtime::eval_async(std::string_view code, SettledCallback done, Duration timeout, std::string_view name) {
  internal::require_callback(done);
  return core_->eval_async(code, name, std::move(done), timeout);
}
Result<void> Runtime::run_file(std::string_view path) {
  return core_->run_file(path);
}
Result<void> Runtime::run_code(std::string_view code, std::string_view name, std::string_view directory) {
  return core_->run_code(code, name, directory);
}

// A getter or setter may destroy this object; what is used after it must not be read from here.

void Runtime::define(std::string_view name, UniqueFunction<Local(Realm&)> make) {
  if (!core_->check_usable()) return;
  RuntimeCore& core = *core_;
  const RuntimeCore::Entry entry(core);
  core.realm->set(core.realm->global(), name, make(*core.realm));
}

Result<Value> Runtime::get(std::string_view name) {
  if (auto usable = core_->check_usable(); !usable) return std::unexpected(usable.error());
  RuntimeCore& core = *core_;
  const RuntimeCore::Entry entry(core);
  return core.to_result(core.realm->get(core.realm->global(), name));
}

Result<Value> Runtime::call_global(std::string_view name, UniqueFunction<std::vector<Local>(Realm&)> arguments) {
  const auto function = get(name);
  if (!function) return function;
  if (!function->is_function()) return fail(Errc::wrong_type, "the global '{}' is not a function", name);
  return internal::call_value(*function, std::move(arguments));
}

Value Runtime::make_value(UniqueFunction<Local(Realm&)> make) {
  if (!core_->check_usable()) return {};
  const RuntimeCore::Entry entry(*core_);
  return core_->make_value(make(*core_->realm));
}

void Runtime::request_stop(int exit_code) {
  core_->request_stop(exit_code);
}

RuntimeEnd Runtime::end() const {
  return core_->end;
}
int Runtime::exit_code() const {
  return core_->exit_code;
}
const Error* Runtime::limit_error() const {
  return core_->limit_error ? &*core_->limit_error : nullptr;
}
MemoryUsage Runtime::memory_usage() const {
  core_->check_thread();
  const Scope scope(*core_->realm);
  return core_->realm->memory_usage();
}
Loop& Runtime::loop() const {
  return core_->loop;
}

// --- Value ---

Value::Value(std::shared_ptr<RuntimeCore> core, Local local) : cell_(std::make_shared<internal::ValueCell>()) {
  cell_->persistent = Persistent(*core->realm, local);
  core->add_cell(*cell_);
  cell_->core = std::move(core);
}

const std::shared_ptr<RuntimeCore>& Value::core() const {
  return cell_->core;
}

Local Value::local(Realm& realm) const {
  if (is_empty()) return realm.undefined();
  if (cell_->core->realm.get() != &realm) {
    throw std::logic_error("gyre: a value was given to another runtime than the one it comes from");
  }
  return cell_->persistent.get();
}

ValueType Value::type() const {
  ValueType type = ValueType::undefined;
  static_cast<void>(internal::look_at(*this, [&](Realm& realm, Local value) { type = realm.type_of(value); }));
  return type;
}

Result<Value> Value::get(std::string_view key) const {
  if (is_empty()) return fail(Errc::wrong_type, "an empty value has no properties");
  RuntimeCore& core = *cell_->core;
  if (auto usable = core.check_usable(); !usable) return std::unexpected(usable.error());
  const RuntimeCore::Entry entry(core);
  const Local object = local(*core.realm);
  const ValueType type = core.realm->type_of(object);
  if (type != ValueType::object && type != ValueType::function) {
    return fail(Errc::wrong_type, "cannot read '{}' of a value that is no object", key);
  }
  return core.to_result(core.realm->get(object, key));
}

Result<void> Value::when_settled(SettledCallback done, Duration timeout) const {
  internal::require_callback(done);
  if (is_empty()) return fail(Errc::wrong_type, "the value is empty");
  RuntimeCore& core = *cell_->core;
  if (auto usable = core.check_usable(); !usable) return usable;
  const RuntimeCore::Entry entry(core);
  return core.wait_for({Completion::Kind::value, local(*core.realm)}, std::move(done), timeout);
}

std::string Value::to_string() const {
  if (is_empty() || !cell_->core->usable()) return "undefined";
  RuntimeCore& core = *cell_->core;
  const RuntimeCore::Entry entry(core);
  return core.inspect(local(*core.realm));
}

namespace internal {

Result<void> call_value_async(const Value& function, UniqueFunction<std::vector<Local>(Realm&)> arguments,
                              SettledCallback done, Duration timeout) {
  require_callback(done);
  if (function.is_empty()) return fail(Errc::wrong_type, "the value is empty");
  RuntimeCore& core = *function.core();
  if (auto usable = core.check_usable(); !usable) return usable;
  if (!function.is_function()) return fail(Errc::wrong_type, "the value is not a function");
  const RuntimeCore::Entry entry(core);
  const std::vector<Local> locals = arguments(*core.realm);
  return core.wait_for(core.realm->call(function.local(*core.realm), core.realm->undefined(), locals), std::move(done),
                       timeout);
}

Result<Value> call_value(const Value& function, UniqueFunction<std::vector<Local>(Realm&)> arguments) {
  if (function.is_empty()) return fail(Errc::wrong_type, "the value is empty");
  RuntimeCore& core = *function.core();
  if (auto usable = core.check_usable(); !usable) return std::unexpected(usable.error());
  if (!function.is_function()) return fail(Errc::wrong_type, "the value is not a function");
  const RuntimeCore::Entry entry(core);
  const std::vector<Local> locals = arguments(*core.realm);
  return core.to_result(core.realm->call(function.local(*core.realm), core.realm->undefined(), locals));
}

Result<void> look_at(const Value& value, UniqueFunction<void(Realm&, Local)> look) {
  if (value.is_empty()) return fail(Errc::wrong_type, "the value is empty");
  RuntimeCore& core = *value.core();
  if (core.realm == nullptr) return fail(Errc::terminated, "the value's runtime is gone");
  const Scope scope(*core.realm);
  look(*core.realm, value.local(*core.realm));
  return {};
}

Result<void> read_value(const Value& value, UniqueFunction<void(Realm&, Local)> read) {
  if (value.is_empty()) return fail(Errc::wrong_type, "the value is empty");
  RuntimeCore& core = *value.core();
  if (auto usable = core.check_usable(); !usable) return usable;
  const RuntimeCore::Entry entry(core);
  read(*core.realm, value.local(*core.realm));
  return {};
}

Local make_error(Realm& realm, const Error& error) {
  return static_cast<RuntimeCore&>(realm.delegate()).make_error(error);
}

Value value_of(Realm& realm, Local value) {
  return static_cast<RuntimeCore&>(realm.delegate()).make_value(value);
}

Local must_fit(Local made) {
  if (made.is_empty()) throw ErrorException(Error(Errc::limit_exceeded, "the value is larger than the runtime allows"));
  return made;
}

Error wrong_type(Realm& realm, std::string_view expected, Local value) {
  static constexpr std::string_view kNames[] = {"undefined", "null",     "a boolean",  "a number", "a bigint",
                                                "a string",  "a symbol", "a function", "an object"};
  const ValueType type = realm.type_of(value);
  std::string got(kNames[static_cast<std::size_t>(type)]);
  if (type == ValueType::number || type == ValueType::bigint) got += " (" + realm.to_utf8(value) + ")";
  return Error(Errc::wrong_type, fmt::format("expected {}, got {}", expected, got));
}

}  // namespace internal
}  // namespace gyre::js
