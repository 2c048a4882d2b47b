#pragma once

#include <atomic>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include <v8.h>

#include <gyre/base/intrusive_list.h>
#include <gyre/js/engine.h>
#include <gyre/js/v8/v8_platform.h>

namespace gyre::js {

/// Array-buffer memory within a budget.
class BudgetAllocator final : public v8::ArrayBuffer::Allocator {
 public:
  explicit BudgetAllocator(std::size_t budget) : budget_(budget) {}
  void* Allocate(std::size_t length) override;
  void* AllocateUninitialized(std::size_t length) override;
  void Free(void* data, std::size_t length) override;
  /// Counts memory that somebody else has allocated; false if the budget does not allow it.
  bool reserve(std::size_t length) noexcept;
  void release(std::size_t length) noexcept { used_.fetch_sub(length, std::memory_order_relaxed); }
  std::size_t used() const noexcept { return used_.load(std::memory_order_relaxed); }

 private:
  const std::size_t budget_;          // 0: unlimited
  std::atomic<std::size_t> used_{0};  // V8 frees on its own threads too
};

/// A `Realm` in V8: one isolate, one context, its own explicit microtask queue.
///
/// A `Local` is a v8::Local's slot. Values are in v8_values.cc, modules in v8_modules.cc, the rest in v8_realm.cc.
class V8Realm final : public Realm {
 public:
  enum class Purpose { use, snapshot };
  V8Realm(Platform& platform, RealmDelegate& delegate, const RealmLimits& limits, v8::StartupData snapshot,
          Purpose purpose);
  ~V8Realm() override;
  RealmDelegate& delegate() override { return delegate_; }

  Local undefined() override;
  Local null() override;
  Local boolean(bool value) override;
  Local number(double value) override;
  Local bigint(std::int64_t value) override;
  Local bigint_unsigned(std::uint64_t value) override;
  Local string(std::string_view utf8) override;
  Local symbol_for(std::string_view key) override;
  Local object() override;
  Local array(std::span<const Local> elements) override;
  Local array_buffer(std::vector<std::byte> bytes) override;
  Local uint8_array(std::vector<std::byte> bytes) override;
  Local function(std::string_view name, int length, NativeFunction callback) override;
  Local builtin_function(std::string_view name, int length, NativeFunction callback) override;
  Local error(ErrorClass error_class, std::string_view message) override;

  ValueType type_of(Local value) override;
  bool to_boolean(Local value) override;
  double to_number(Local value) override;
  std::optional<std::int64_t> to_int64(Local value) override;
  std::optional<std::uint64_t> to_uint64(Local value) override;
  std::string to_utf8(Local value) override;
  bool is_array(Local value) override;
  bool is_promise(Local value) override;
  bool same_value(Local a, Local b) override;
  std::uint32_t array_length(Local value) override;
  std::optional<std::span<std::byte>> bytes_of(Local value) override;
  std::string_view kind_of(Local value) override;
  std::optional<std::pair<Local, Local>> proxy_details(Local value) override;
  std::optional<std::pair<Local, bool>> preview_entries(Local value) override;
  std::string constructor_name(Local object) override;

  Completion get(Local object, std::string_view key) override;
  Completion get(Local object, Local key) override;
  Completion get_index(Local object, std::uint32_t index) override;
  Completion set(Local object, std::string_view key, Local value) override;
  Completion own_keys(Local object) override;
  Completion own_named_keys(Local object, bool include_hidden) override;
  Local global() override;

  Completion call(Local function, Local self, std::span<const Local> arguments) override;
  Completion construct(Local function, std::span<const Local> arguments) override;
  Completion check_script(std::string_view source, std::string_view name) override;
  Completion run_script(std::string_view source, std::string_view name) override;
  Completion compile_function(std::string_view body, std::string_view name,
                              std::span<const std::string_view> parameters) override;

  Completion compile_module(std::string_view source, std::string_view url, ModuleId& module) override;
  ModuleId synthetic_module(std::string_view url, std::span<const std::string> names,
                            std::span<const Local> values) override;
  std::vector<ModuleRequest> module_requests(ModuleId module) override;
  Completion link_module(ModuleId module, const ModuleResolver& resolve) override;
  Completion evaluate_module(ModuleId module) override;
  Local module_namespace(ModuleId module) override;
  std::string module_url(ModuleId module) override;

  Deferred deferred() override;
  void resolve(Local resolver, Local value) override;
  void reject(Local resolver, Local reason) override;
  PromiseState promise_state(Local promise) override;
  Local promise_result(Local promise) override;
  void promise_then(Local promise, Local on_fulfilled, Local on_rejected) override;
  void mark_handled(Local promise) override;
  void enqueue_microtask(Local function) override;
  bool drain_microtasks() override;

  Exception describe(Local thrown) override;
  std::vector<SourceLocation> current_stack(int depth) override;

  void terminate() override;
  void request_interrupt(Task task) override;
  void cancel_termination() override;

  std::vector<std::byte> take_snapshot(Persistent root) override;
  Local snapshot_root() override;

  MemoryUsage memory_usage() override;
  void collect_garbage() override;

 private:
  struct Module {
    v8::Global<v8::Module> handle;
    std::string url;
    std::vector<std::string> names;  // of a synthetic module
    std::vector<v8::Global<v8::Value>> values;
  };
  struct Interrupt {
    V8Realm* realm;
    Task task;
  };
  // A C++ function that JavaScript may call: as long as its JavaScript function is alive.
  struct HostFunction : ListHook {
    V8Realm* realm;
    NativeFunction callback;
    v8::Global<v8::Function> handle;  // weak
  };

  void enter(void* storage) override;
  void leave(void* storage) noexcept override;
  void* make_cell(Local value) override;
  Local open_cell(void* cell) override;
  void free_cell(void* cell) noexcept override;

  static V8Realm& of(v8::Isolate* isolate) { return *static_cast<V8Realm*>(isolate->GetData(0)); }
  static v8::Local<v8::Value> open(Local value) {
    v8::Local<v8::Value> result;
    static_assert(sizeof(result) == sizeof(void*));
    void* slot = value.slot();
    std::memcpy(static_cast<void*>(&result), &slot, sizeof(slot));
    return result;
  }
  template <typename T>
  static Local close(v8::Local<T> value) {
    void* slot;
    std::memcpy(&slot, static_cast<void*>(&value), sizeof(slot));
    return Local(slot);
  }
  v8::Local<v8::Context> context() const { return context_.Get(isolate_); }
  v8::Local<v8::String> text(std::string_view utf8);
  v8::Local<v8::String> key(std::string_view utf8);
  v8::ScriptOrigin origin(std::string_view name, bool is_module);
  SourceLocation location_of(v8::Local<v8::Message> message);
  std::string utf8_of(v8::Local<v8::Value> value);
  ModuleId id_of(v8::Local<v8::Module> module);
  ModuleId keep(v8::Local<v8::Module> module, std::string_view url);
  v8::MaybeLocal<v8::UnboundScript> compile(std::string_view source, std::string_view name);
  void set_stack_limit();
  void remember_thrown(v8::Local<v8::Value> thrown, v8::Local<v8::Message> message);
  void drop_leftovers() noexcept;
  static void destroy_all(IntrusiveList<HostFunction>& functions) noexcept;

  // Runs `operation`, which returns a MaybeLocal, and says how it ended.
  template <typename Operation>
  Completion complete(Operation&& operation) {
    v8::TryCatch try_catch(isolate_);
    v8::Local<v8::Value> value;
    if (operation().ToLocal(&value)) return {Completion::Kind::value, close(value)};
    if (try_catch.HasTerminated() || !try_catch.HasCaught()) return {Completion::Kind::terminated, {}};
    remember_thrown(try_catch.Exception(), try_catch.Message());
    return {Completion::Kind::thrown, close(try_catch.Exception())};
  }

  // Calls `question`, keeping C++ exceptions out of V8's frames: there they become JavaScript's.
  template <typename Question>
  void contain(Question&& question) noexcept {
    try {
      question();
    } catch (...) {
      isolate_->ThrowException(
          open(error(ErrorClass::error, Error::from_exception(std::current_exception()).message())));
    }
  }

  static void on_call(const v8::FunctionCallbackInfo<v8::Value>& info);
  static const std::intptr_t* external_references();
  void initialize(const RealmLimits& limits, Purpose purpose);
  void release_handles() noexcept;

  static void on_collected(const v8::WeakCallbackInfo<HostFunction>& info);
  static void on_rejection(v8::PromiseRejectMessage message);
  static void on_message(v8::Local<v8::Message> message, v8::Local<v8::Value> thrown);
  static std::size_t on_near_heap_limit(void* self, std::size_t current, std::size_t initial);
  static v8::MaybeLocal<v8::Promise> on_import(v8::Local<v8::Context> context, v8::Local<v8::Data> options,
                                               v8::Local<v8::Value> resource, v8::Local<v8::String> specifier,
                                               v8::Local<v8::FixedArray> attributes);
  static void on_import_meta(v8::Local<v8::Context> context, v8::Local<v8::Module> module, v8::Local<v8::Object> meta);
  static v8::MaybeLocal<v8::Module> on_resolve(v8::Local<v8::Context> context, v8::Local<v8::String> specifier,
                                               v8::Local<v8::FixedArray> attributes, v8::Local<v8::Module> referrer);
  static v8::MaybeLocal<v8::Value> on_synthetic(v8::Local<v8::Context> context, v8::Local<v8::Module> module);
  static void on_interrupt(v8::Isolate* isolate, void* data);

  Platform& platform_;
  RealmDelegate& delegate_;
  std::shared_ptr<BudgetAllocator> allocator_;
  v8::Isolate* isolate_;
  std::shared_ptr<ForegroundRunner> runner_;
  v8::StartupData snapshot_;                      // what this realm starts from; no data: from nothing
  std::unique_ptr<v8::SnapshotCreator> creator_;  // only while a snapshot is made
  std::unique_ptr<v8::MicrotaskQueue> microtasks_;
  v8::Global<v8::Context> context_;
  v8::Global<v8::Function> nothing_;  // an empty script function; calling it is a point where a termination takes hold
  // What was thrown last, and where: only the catch knows the place of a value that is no Error.
  v8::Global<v8::Value> thrown_;
  v8::Global<v8::Message> thrown_message_;
  std::deque<NativeFunction> builtin_functions_;
  IntrusiveList<HostFunction> functions_;
  IntrusiveList<HostFunction> collected_functions_;  // destroyed when no script is on the stack
  std::vector<std::unique_ptr<Module>> modules_;     // by id - 1
  std::unordered_multimap<int, ModuleId> modules_by_hash_;
  const ModuleResolver* resolver_ = nullptr;  // while linking
  std::uint64_t stack_thread_ = 0;            // the thread that the stack limit was set for
  int scopes_ = 0;
  std::atomic<bool> terminating_{false};
  std::size_t heap_limit_before_ = 0;  // while the heap is larger than it should be
  std::mutex interrupts_mutex_;
  std::vector<std::unique_ptr<Interrupt>> interrupts_;
};

}  // namespace gyre::js
