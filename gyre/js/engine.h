#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gyre/base/error.h>
#include <gyre/base/task.h>

// The seam between the runtime and a JavaScript engine. Everything above it (runtime, built-ins, modules, limits) is
// written against these few types; everything of one engine lives in a folder of its own (gyre/js/v8). No engine type
// crosses.

namespace gyre::js {

class Realm;

/// A JavaScript value, valid while the innermost `Scope` in which it was made is open. One word; copy it freely, keep
/// it never: for that there is `Persistent`.
class Local {
 public:
  constexpr Local() = default;
  constexpr explicit Local(void* slot) : slot_(slot) {}
  constexpr bool is_empty() const noexcept { return slot_ == nullptr; }
  constexpr void* slot() const noexcept { return slot_; }

 private:
  void* slot_ = nullptr;
};

/// Opens the realm for use on this thread: its isolate is entered, and `Local` values made from now on live until the
/// scope closes. Scopes nest like the blocks they stand in.
class Scope {
 public:
  explicit Scope(Realm& realm);
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  static constexpr std::size_t kStorage = 64;

 private:
  Realm& realm_;
  alignas(std::max_align_t) std::byte storage_[kStorage];
};

/// Keeps a JavaScript value alive outside of scopes. Must be released before its realm is destroyed.
class Persistent {
 public:
  Persistent() = default;
  Persistent(Realm& realm, Local value);
  Persistent(Persistent&& other) noexcept
      : realm_(std::exchange(other.realm_, nullptr)), cell_(std::exchange(other.cell_, nullptr)) {}
  Persistent& operator=(Persistent&& other) noexcept;
  ~Persistent() { reset(); }

  void reset() noexcept;
  bool is_empty() const noexcept { return cell_ == nullptr; }
  /// The value, in the innermost open scope.
  Local get() const;

 private:
  Realm* realm_ = nullptr;
  void* cell_ = nullptr;
};

enum class ValueType : std::uint8_t { undefined, null, boolean, number, bigint, string, symbol, function, object };

/// How a piece of JavaScript ended.
struct Completion {
  enum class Kind : std::uint8_t {
    value,       ///< Normally; `value` is the result.
    thrown,      ///< With an exception; `value` is what was thrown.
    terminated,  ///< Cut off by `Realm::terminate`; there is no value.
  };
  Kind kind = Kind::value;
  Local value;

  bool is_value() const noexcept { return kind == Kind::value; }
  bool is_thrown() const noexcept { return kind == Kind::thrown; }
  bool is_terminated() const noexcept { return kind == Kind::terminated; }
};

/// A call from JavaScript into C++. Set `result`, or `thrown` to throw it; neither returns undefined.
struct Call {
  Realm& realm;
  std::span<const Local> arguments;
  Local result;
  Local thrown;

  /// The argument at `index`, or undefined.
  Local operator[](std::size_t index) const;
};

using NativeFunction = UniqueFunction<void(Call&)>;

/// Where in the source something happened. Lines and columns count from 1; 0 is unknown. Columns are UTF-16 units.
struct SourceLocation {
  std::string resource;
  std::string function;
  int line = 0;
  int column = 0;
  std::string source_line;
};

/// Names of the scripts that are part of this library start with this.
inline constexpr std::string_view kInternalScripts = "gyre:internal/";

/// What is known of a thrown value without running any of the script's code.
struct Exception {
  std::string message;  ///< As the engine prints it, for example "TypeError: x is not a function".
  std::string stack;    ///< The value's stack text if it is an error with one; includes the message.
  SourceLocation location;
};

enum class ErrorClass : std::uint8_t { error, range_error, reference_error, syntax_error, type_error };
enum class PromiseState : std::uint8_t { pending, fulfilled, rejected };

/// Names a compiled module of a realm; 0 is none.
using ModuleId = std::uint32_t;

/// What a realm asks of its owner. Called on the realm's thread with a scope open, `wake` excepted.
class RealmDelegate {
 public:
  /// A promise was rejected with nobody to handle it (`handled` false), or got its first handler after that.
  virtual void on_promise_rejection(Local promise, Local reason, bool handled) = 0;
  /// A microtask threw. The queue goes on.
  virtual void on_microtask_exception(Local thrown) = 0;
  /// `import(specifier)` in the module or script `referrer`. Returns the promise for the namespace.
  virtual Local on_dynamic_import(std::string_view specifier, std::string_view referrer) = 0;
  /// `import.meta` was first used in the module.
  virtual void on_import_meta(ModuleId module, Local meta) = 0;
  /// From any thread: the engine has a task for this thread; call it there, or drop it. `delay` in seconds.
  virtual void on_engine_task(Task task, double delay) = 0;
  /// The heap is full, and may grow a little while the script is brought to an end: the place to ask for an interrupt
  /// that does so. Called deep inside the engine, so no JavaScript here. A script that goes on and fills the heap again
  /// is terminated by the realm.
  virtual void on_near_heap_limit() = 0;

 protected:
  ~RealmDelegate() = default;
};

struct RealmLimits {
  std::size_t heap_bytes = 0;          ///< 0: the engine's default.
  std::size_t array_buffer_bytes = 0;  ///< 0: unlimited.
  bool allow_eval = true;
};

struct MemoryUsage {
  std::size_t heap_total = 0;
  std::size_t heap_used = 0;
  std::size_t heap_limit = 0;
  std::size_t external = 0;
  std::size_t array_buffers = 0;
};

/// One isolated JavaScript world: a heap and a global object. Used on one thread at a time, within a `Scope`, unless a
/// method says otherwise. Every `Local` given to a method must come from this realm.
class Realm {
 public:
  virtual ~Realm() = default;
  /// The owner, as given to `Engine::make_realm`.
  virtual RealmDelegate& delegate() = 0;

  // Values.
  virtual Local undefined() = 0;
  virtual Local null() = 0;
  virtual Local boolean(bool value) = 0;
  virtual Local number(double value) = 0;
  virtual Local bigint(std::int64_t value) = 0;
  virtual Local bigint_unsigned(std::uint64_t value) = 0;
  /// From UTF-8; malformed sequences become U+FFFD. Empty `Local` if the text is longer than the engine allows.
  virtual Local string(std::string_view utf8) = 0;
  virtual Local symbol_for(std::string_view key) = 0;
  virtual Local object() = 0;
  virtual Local array(std::span<const Local> elements) = 0;
  /// Takes the bytes over. Empty `Local` if they exceed the realm's budget for array buffers.
  virtual Local array_buffer(std::vector<std::byte> bytes) = 0;
  virtual Local uint8_array(std::vector<std::byte> bytes) = 0;
  /// A function for JavaScript to call. `callback` lives until JavaScript has lost its last reference to the function.
  virtual Local function(std::string_view name, int length, NativeFunction callback) = 0;
  /// The same for the runtime's own functions: it lives as long as the realm, and may be part of a snapshot. There it
  /// is known by the order in which it was made, so a realm from a snapshot must be given the same functions in that
  /// order.
  virtual Local builtin_function(std::string_view name, int length, NativeFunction callback) = 0;
  virtual Local error(ErrorClass error_class, std::string_view message) = 0;

  // Looking at values. None of these runs JavaScript.
  virtual ValueType type_of(Local value) = 0;
  virtual bool to_boolean(Local value) = 0;
  /// NaN for anything but a number.
  virtual double to_number(Local value) = 0;
  /// The integer that a number or a BigInt holds exactly.
  virtual std::optional<std::int64_t> to_int64(Local value) = 0;
  virtual std::optional<std::uint64_t> to_uint64(Local value) = 0;
  /// The text of a string; for other primitives, what String() gives; for objects, a short description.
  virtual std::string to_utf8(Local value) = 0;
  virtual bool is_array(Local value) = 0;
  virtual bool is_promise(Local value) = 0;
  virtual bool same_value(Local a, Local b) = 0;
  /// Length of an array; 0 for anything else.
  virtual std::uint32_t array_length(Local value) = 0;
  /// The bytes of an ArrayBuffer or a view of one; valid until JavaScript runs. Empty optional for anything else.
  virtual std::optional<std::span<std::byte>> bytes_of(Local value) = 0;
  /// The class by internal slots ("Map", "Promise", "Proxy", ...), "" for an ordinary object or a primitive.
  virtual std::string_view kind_of(Local value) = 0;
  /// Target and handler of a proxy; both null if it was revoked.
  virtual std::optional<std::pair<Local, Local>> proxy_details(Local value) = 0;
  /// Entries of a collection or of its iterator, flat, and whether they are key-value pairs.
  virtual std::optional<std::pair<Local, bool>> preview_entries(Local value) = 0;
  virtual std::string constructor_name(Local object) = 0;

  // Properties. These may run getters, setters and traps.
  virtual Completion get(Local object, std::string_view key) = 0;
  virtual Completion get(Local object, Local key) = 0;
  virtual Completion get_index(Local object, std::uint32_t index) = 0;
  virtual Completion set(Local object, std::string_view key, Local value) = 0;
  /// Own enumerable string keys, array indices included as strings.
  virtual Completion own_keys(Local object) = 0;
  /// Own keys other than array indices, strings then symbols; the non-enumerable ones too if asked.
  virtual Completion own_named_keys(Local object, bool include_hidden) = 0;
  virtual Local global() = 0;

  // Running.
  virtual Completion call(Local function, Local self, std::span<const Local> arguments) = 0;
  virtual Completion construct(Local function, std::span<const Local> arguments) = 0;
  /// Parses a classic script without running it: `Completion::thrown` with the SyntaxError if it is none.
  virtual Completion check_script(std::string_view source, std::string_view name) = 0;
  virtual Completion run_script(std::string_view source, std::string_view name) = 0;
  /// Compiles a function body with named parameters; it is not run.
  virtual Completion compile_function(std::string_view body, std::string_view name,
                                      std::span<const std::string_view> parameters) = 0;

  // Modules.
  struct ModuleRequest {
    std::string specifier;
    SourceLocation location;
  };
  /// `Completion::thrown` with the SyntaxError if the source does not parse.
  virtual Completion compile_module(std::string_view source, std::string_view url, ModuleId& module) = 0;
  virtual ModuleId synthetic_module(std::string_view url, std::span<const std::string> names,
                                    std::span<const Local> values) = 0;
  virtual std::vector<ModuleRequest> module_requests(ModuleId module) = 0;
  using ModuleResolver = std::function<ModuleId(std::string_view specifier, ModuleId referrer)>;
  /// Links the module and everything it imports; all of it must be compiled.
  virtual Completion link_module(ModuleId module, const ModuleResolver& resolve) = 0;
  /// The value is a promise.
  virtual Completion evaluate_module(ModuleId module) = 0;
  virtual Local module_namespace(ModuleId module) = 0;
  virtual std::string module_url(ModuleId module) = 0;

  // Promises and microtasks.
  struct Deferred {
    Local promise;
    Local resolver;
  };
  virtual Deferred deferred() = 0;
  virtual void resolve(Local resolver, Local value) = 0;
  virtual void reject(Local resolver, Local reason) = 0;
  virtual PromiseState promise_state(Local promise) = 0;
  /// The value or reason; undefined while pending.
  virtual Local promise_result(Local promise) = 0;
  /// Attaches reactions without creating an unhandled rejection.
  virtual void promise_then(Local promise, Local on_fulfilled, Local on_rejected) = 0;
  virtual void mark_handled(Local promise) = 0;
  /// The function is called without arguments; an exception goes to `on_microtask_exception`.
  virtual void enqueue_microtask(Local function) = 0;
  /// Runs the microtask queue until it is empty. False if it was cut off by `terminate`, which empties the queue.
  virtual bool drain_microtasks() = 0;

  // Exceptions.
  virtual Exception describe(Local thrown) = 0;
  /// Where JavaScript is executing now, innermost frame first.
  virtual std::vector<SourceLocation> current_stack(int depth) = 0;

  // Stopping. Any thread.
  /// Ends all script that is running, whatever lies on the stack between its parts: it runs no further statement, not
  /// even a `finally`. A script that has called a `NativeFunction` is over when that returns. Holds until
  /// `cancel_termination`.
  virtual void terminate() = 0;
  /// Calls `task` on the realm's thread at the next point where running JavaScript can be interrupted.
  virtual void request_interrupt(Task task) = 0;
  // This thread.
  /// Lets script run again. Once no script is on the stack any more.
  virtual void cancel_termination() = 0;

  // Snapshots.
  /// Turns a realm made by `Engine::make_realm_for_snapshot` into bytes that other realms can start from. `root` is
  /// what they find by `snapshot_root`. No scope may be open, no other `Persistent` held; afterwards the realm can only
  /// be destroyed.
  virtual std::vector<std::byte> take_snapshot(Persistent root) = 0;
  /// The root of the snapshot that this realm was made from; empty if it was made without one. Can be asked for once.
  virtual Local snapshot_root() = 0;

  // Memory.
  virtual MemoryUsage memory_usage() = 0;
  virtual void collect_garbage() = 0;

 private:
  friend class Scope;
  friend class Persistent;
  virtual void enter(void* storage) = 0;
  virtual void leave(void* storage) noexcept = 0;
  virtual void* make_cell(Local value) = 0;
  virtual Local open_cell(void* cell) = 0;
  virtual void free_cell(void* cell) noexcept = 0;
};

struct EngineOptions {
  /// Threads for compilation and garbage collection; 0 means one per processor, less one.
  unsigned worker_threads = 0;
  /// Engine flags, for example "--stack-size=500". Applied once per process, when the first engine is made.
  std::vector<std::string> flags;
};

/// A JavaScript engine. Make one in `main`, before any thread uses it, and let it outlive its realms.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual std::string_view name() const = 0;
  virtual std::string version() const = 0;
  /// The delegate must outlive the realm, and the snapshot all realms. A snapshot that another build of the engine made
  /// is ignored: whether it was used, `Realm::snapshot_root` tells.
  virtual Result<std::unique_ptr<Realm>> make_realm(RealmDelegate& delegate, const RealmLimits& limits,
                                                    std::span<const std::byte> snapshot = {}) = 0;
  virtual std::unique_ptr<Realm> make_realm_for_snapshot(RealmDelegate& delegate) = 0;
};

/// V8, as found in libnode.
std::unique_ptr<Engine> make_v8_engine(const EngineOptions& options = {});

inline Scope::Scope(Realm& realm) : realm_(realm) {
  realm_.enter(storage_);
}
inline Scope::~Scope() {
  realm_.leave(storage_);
}

inline Persistent::Persistent(Realm& realm, Local value) : realm_(&realm), cell_(realm.make_cell(value)) {}
inline Persistent& Persistent::operator=(Persistent&& other) noexcept {
  if (this != &other) {
    reset();
    realm_ = std::exchange(other.realm_, nullptr);
    cell_ = std::exchange(other.cell_, nullptr);
  }
  return *this;
}
inline void Persistent::reset() noexcept {
  if (cell_ != nullptr) realm_->free_cell(std::exchange(cell_, nullptr));
}
inline Local Persistent::get() const {
  return realm_->open_cell(cell_);
}

inline Local Call::operator[](std::size_t index) const {
  return index < arguments.size() ? arguments[index] : realm.undefined();
}

}  // namespace gyre::js
