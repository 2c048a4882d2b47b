#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include <pthread.h>

#include <gyre/js/v8/v8_realm.h>
#include <gyre/js/v8/v8_snapshot.h>

namespace gyre::js {
namespace {

// How much the heap may grow past its limit while a terminated script unwinds: one allocation can be this large.
constexpr std::size_t kHeapGrace = std::size_t{2} << 30;
// JavaScript's share of a thread's stack, at most, and what is left below it for C++ called from the deepest frame.
constexpr std::size_t kMaxScriptStack = 984 * 1024;
constexpr std::size_t kStackReserve = 128 * 1024;

// Unlike the address of a thread-local variable, never used again for another thread.
std::uint64_t this_thread_number() {
  static std::atomic<std::uint64_t> last{0};
  thread_local const std::uint64_t number = last.fetch_add(1, std::memory_order_relaxed) + 1;
  return number;
}

struct Entered {
  explicit Entered(v8::Isolate* isolate) : isolate_scope(isolate), handles(isolate) {}
  v8::Isolate::Scope isolate_scope;
  v8::HandleScope handles;
};
// HandleScope may only live on the stack, so its class forbids `new`; our storage is on the stack, inside a Scope.
static_assert(sizeof(Entered) <= Scope::kStorage);

}  // namespace

// --- Memory ---

bool BudgetAllocator::reserve(std::size_t length) noexcept {
  const std::size_t before = used_.fetch_add(length, std::memory_order_relaxed);
  if (budget_ == 0 || (length <= budget_ && before <= budget_ - length)) return true;
  used_.fetch_sub(length, std::memory_order_relaxed);
  return false;
}

void* BudgetAllocator::Allocate(std::size_t length) {
  if (!reserve(length)) return nullptr;
  void* data = std::calloc(length, 1);
  if (data == nullptr) used_.fetch_sub(length, std::memory_order_relaxed);
  return data;
}

void* BudgetAllocator::AllocateUninitialized(std::size_t length) {
  if (!reserve(length)) return nullptr;
  void* data = std::malloc(length);
  if (data == nullptr) used_.fetch_sub(length, std::memory_order_relaxed);
  return data;
}

void BudgetAllocator::Free(void* data, std::size_t length) {
  std::free(data);
  used_.fetch_sub(length, std::memory_order_relaxed);
}

// --- Life ---

// Every C++ address that a snapshot may hold; V8 stores the place in this list instead.
const std::intptr_t* V8Realm::external_references() {
  static const std::intptr_t references[] = {reinterpret_cast<std::intptr_t>(&V8Realm::on_call), 0};
  return references;
}

V8Realm::V8Realm(Platform& platform, RealmDelegate& delegate, const RealmLimits& limits, v8::StartupData snapshot,
                 Purpose purpose)
    : platform_(platform),
      delegate_(delegate),
      allocator_(std::make_shared<BudgetAllocator>(limits.array_buffer_bytes)),
      isolate_(v8::Isolate::Allocate()),
      snapshot_(snapshot) {
  runner_ = std::make_shared<ForegroundRunner>(delegate_);
  platform_.add(isolate_, runner_);
  initialize(limits, purpose);

  isolate_->SetData(0, this);
  isolate_->SetMicrotasksPolicy(v8::MicrotasksPolicy::kExplicit);
  isolate_->SetPromiseRejectCallback(&V8Realm::on_rejection);
  // Listeners are kept in the heap: one in a snapshot would come back beside the new one.
  if (purpose == Purpose::use) isolate_->AddMessageListener(&V8Realm::on_message);
  isolate_->SetHostImportModuleDynamicallyCallback(&V8Realm::on_import);
  isolate_->SetHostInitializeImportMetaObjectCallback(&V8Realm::on_import_meta);
  isolate_->SetCaptureStackTraceForUncaughtExceptions(false);
  isolate_->AddNearHeapLimitCallback(&V8Realm::on_near_heap_limit, this);

  const v8::Isolate::Scope isolate_scope(isolate_);
  set_stack_limit();
  const v8::HandleScope handles(isolate_);
  microtasks_ = v8::MicrotaskQueue::New(isolate_, v8::MicrotasksPolicy::kExplicit);
  const v8::Local<v8::Context> context = v8::Context::New(isolate_, nullptr, {}, {}, {}, microtasks_.get());
  context->AllowCodeGenerationFromStrings(limits.allow_eval);
  context_.Reset(isolate_, context);
  if (purpose == Purpose::snapshot) return;
  const v8::Context::Scope context_scope(context);
  // Script, not a native function: only the entry into script looks for a termination.
  nothing_.Reset(isolate_, open(compile_function("", "gyre:internal/nothing", {}).value).As<v8::Function>());
}

void V8Realm::initialize(const RealmLimits& limits, Purpose purpose) {
  if (purpose == Purpose::snapshot) {
    creator_ = std::make_unique<v8::SnapshotCreator>(isolate_, external_references());
    return;
  }
  v8::Isolate::CreateParams params;
  params.array_buffer_allocator_shared = allocator_;
  params.external_references = external_references();
  if (snapshot_.data != nullptr) params.snapshot_blob = &snapshot_;
  if (limits.heap_bytes != 0) params.constraints.ConfigureDefaultsFromHeapSize(0, limits.heap_bytes);
  v8::Isolate::Initialize(isolate_, params);
}

void V8Realm::release_handles() noexcept {
  modules_.clear();
  drop_leftovers();
  destroy_all(functions_);
  destroy_all(collected_functions_);
  nothing_.Reset();
  context_.Reset();
}

V8Realm::~V8Realm() {
  runner_->close();
  {
    const v8::Isolate::Scope isolate_scope(isolate_);
    const v8::HandleScope handles(isolate_);
    release_handles();
  }
  microtasks_.reset();
  if (creator_) {
    creator_.reset();  // which disposes of the isolate
  } else {
    isolate_->Dispose();
  }
  platform_.remove(isolate_);
}

std::vector<std::byte> V8Realm::take_snapshot(Persistent root) {
  {
    const v8::HandleScope handles(isolate_);
    creator_->SetDefaultContext(context());
    creator_->AddData(context(), open(root.get()));
    root.reset();
    release_handles();
  }
  // Functions keep the bytecode they have: what ran once need not be compiled again.
  const v8::StartupData blob = creator_->CreateBlob(v8::SnapshotCreator::FunctionCodeHandling::kKeep);
  const auto* first = reinterpret_cast<const std::byte*>(blob.data);
  std::vector<std::byte> sealed = seal_snapshot({first, static_cast<std::size_t>(blob.raw_size)});
  delete[] blob.data;
  return sealed;
}

Local V8Realm::snapshot_root() {
  v8::Local<v8::Value> root;
  if (snapshot_.data == nullptr || !context()->GetDataFromSnapshotOnce<v8::Value>(0).ToLocal(&root)) return {};
  return close(root);
}

// V8 takes the stack limit from the thread that made the isolate; on another thread it would be some other stack's.
void V8Realm::set_stack_limit() {
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return;
  void* lowest = nullptr;
  std::size_t size = 0;
  pthread_attr_getstack(&attributes, &lowest, &size);
  pthread_attr_destroy(&attributes);
  const auto bottom = reinterpret_cast<std::uintptr_t>(lowest);
  const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  const std::uintptr_t reserve = std::min(kStackReserve, size / 4);
  const std::uintptr_t wanted = here > kMaxScriptStack ? here - kMaxScriptStack : 0;
  isolate_->SetStackLimit(std::max(bottom + reserve, wanted));
  stack_thread_ = this_thread_number();
}

void V8Realm::enter(void* storage) {
  ::new (storage) Entered(isolate_);
  if (stack_thread_ != this_thread_number()) set_stack_limit();
  context()->Enter();
  ++scopes_;
}

void V8Realm::leave(void* storage) noexcept {
  if (scopes_ == 1) drop_leftovers();
  --scopes_;
  context()->Exit();
  static_cast<Entered*>(storage)->~Entered();
}

// What was kept for the script that was running, and functions that it has left behind. Their captures' destructors may
// use the realm again.
void V8Realm::drop_leftovers() noexcept {
  if (!thrown_.IsEmpty()) {
    thrown_.Reset();
    thrown_message_.Reset();
  }
  if (!collected_functions_.empty()) destroy_all(collected_functions_);
}

void V8Realm::destroy_all(IntrusiveList<HostFunction>& functions) noexcept {
  while (HostFunction* function = functions.pop_front()) delete function;
}

// During a garbage collection: nothing may be done here but to let go of the handle.
void V8Realm::on_collected(const v8::WeakCallbackInfo<HostFunction>& info) {
  HostFunction& function = *info.GetParameter();
  function.handle.Reset();
  function.unlink();
  function.realm->collected_functions_.push_back(function);
}

void* V8Realm::make_cell(Local value) {
  return new v8::Global<v8::Value>(isolate_, open(value));
}
Local V8Realm::open_cell(void* cell) {
  return close(static_cast<v8::Global<v8::Value>*>(cell)->Get(isolate_));
}
void V8Realm::free_cell(void* cell) noexcept {
  delete static_cast<v8::Global<v8::Value>*>(cell);
}

// --- Running ---

v8::ScriptOrigin V8Realm::origin(std::string_view name, bool is_module) {
#if V8_MAJOR_VERSION < 12
  return v8::ScriptOrigin(isolate_, text(name), 0, 0, false, -1, {}, false, false, is_module);
#else
  return v8::ScriptOrigin(text(name), 0, 0, false, -1, {}, false, false, is_module);
#endif
}

namespace {

std::vector<v8::Local<v8::Value>> open_all(std::span<const Local> values) {
  std::vector<v8::Local<v8::Value>> opened(values.size());
  static_assert(sizeof(Local) == sizeof(v8::Local<v8::Value>));
  if (!values.empty()) std::memcpy(static_cast<void*>(opened.data()), values.data(), values.size_bytes());
  return opened;
}

}  // namespace

Completion V8Realm::call(Local function, Local self, std::span<const Local> arguments) {
  return complete([&] {
    // A Local is a v8::Local's slot and nothing else, so the array can be handed over as it is.
    auto* first = reinterpret_cast<v8::Local<v8::Value>*>(const_cast<Local*>(arguments.data()));
    return open(function).As<v8::Function>()->Call(context(), open(self), static_cast<int>(arguments.size()), first);
  });
}

Completion V8Realm::construct(Local function, std::span<const Local> arguments) {
  return complete([&]() -> v8::MaybeLocal<v8::Value> {
    auto opened = open_all(arguments);
    return open(function)
        .As<v8::Function>()
        ->NewInstance(context(), static_cast<int>(opened.size()), opened.data())
        .FromMaybe(v8::Local<v8::Object>());
  });
}

v8::MaybeLocal<v8::UnboundScript> V8Realm::compile(std::string_view source, std::string_view name) {
  const Local code = string(source);
  if (code.is_empty()) {
    isolate_->ThrowException(v8::Exception::RangeError(text("the source is too long")));
    return {};
  }
  v8::ScriptOrigin script_origin = origin(name, false);
  v8::ScriptCompiler::Source compiler_source(open(code).As<v8::String>(), script_origin);
  return v8::ScriptCompiler::CompileUnboundScript(isolate_, &compiler_source);
}

Completion V8Realm::check_script(std::string_view source, std::string_view name) {
  return complete([&]() -> v8::MaybeLocal<v8::Value> {
    if (compile(source, name).IsEmpty()) return {};
    return v8::Undefined(isolate_);
  });
}

Completion V8Realm::run_script(std::string_view source, std::string_view name) {
  return complete([&]() -> v8::MaybeLocal<v8::Value> {
    v8::Local<v8::UnboundScript> script;
    if (!compile(source, name).ToLocal(&script)) return {};
    return script->BindToCurrentContext()->Run(context());
  });
}

Completion V8Realm::compile_function(std::string_view body, std::string_view name,
                                     std::span<const std::string_view> parameters) {
  return complete([&]() -> v8::MaybeLocal<v8::Value> {
    std::vector<v8::Local<v8::String>> names;
    for (const std::string_view parameter : parameters) names.push_back(text(parameter));
    v8::ScriptOrigin script_origin = origin(name, false);
    v8::ScriptCompiler::Source source(text(body), script_origin);
    v8::Local<v8::Function> function;
#if V8_MAJOR_VERSION < 11
    const auto compiled =
        v8::ScriptCompiler::CompileFunctionInContext(context(), &source, names.size(), names.data(), 0, nullptr);
#else
    const auto compiled = v8::ScriptCompiler::CompileFunction(context(), &source, names.size(), names.data());
#endif
    if (!compiled.ToLocal(&function)) return {};
    return function;
  });
}

void V8Realm::on_call(const v8::FunctionCallbackInfo<v8::Value>& info) {
  constexpr int kInline = 8;
  V8Realm& realm = of(info.GetIsolate());
  const v8::Local<v8::Value> data = info.Data();
  NativeFunction& callback = data->IsInt32()
                                 ? realm.builtin_functions_[static_cast<std::size_t>(data.As<v8::Int32>()->Value())]
                                 : static_cast<HostFunction*>(data.As<v8::External>()->Value())->callback;

  Local few[kInline];
  std::vector<Local> many;
  const int count = info.Length();
  Local* arguments = few;
  if (count > kInline) {
    many.resize(static_cast<std::size_t>(count));
    arguments = many.data();
  }
  for (int i = 0; i < count; ++i) arguments[i] = close(info[i]);

  Call call{realm, std::span<const Local>(arguments, static_cast<std::size_t>(count)), {}, {}};
  realm.contain([&] { callback(call); });
  // A script that the function has called may have taken the termination for itself; it was meant for all of them.
  if (realm.terminating_.load(std::memory_order_relaxed)) {
    realm.isolate_->TerminateExecution();
    // The request takes hold when a script function is entered. Without one here, the script could go on for a while.
    const v8::Local<v8::Function> nothing = realm.nothing_.Get(realm.isolate_);
    const auto none = nothing->Call(realm.context(), v8::Undefined(realm.isolate_), 0, nullptr);
    static_cast<void>(none);
  } else if (!call.thrown.is_empty()) {
    info.GetIsolate()->ThrowException(open(call.thrown));
  } else if (!call.result.is_empty()) {
    info.GetReturnValue().Set(open(call.result));
  }
}

// --- Promises and microtasks ---

void V8Realm::on_rejection(v8::PromiseRejectMessage message) {
  V8Realm& realm = of(message.GetPromise()->GetIsolate());
  const v8::HandleScope handles(realm.isolate_);
  switch (message.GetEvent()) {
    case v8::kPromiseRejectWithNoHandler:
      realm.delegate_.on_promise_rejection(close(message.GetPromise()), close(message.GetValue()), false);
      break;
    case v8::kPromiseHandlerAddedAfterReject:
      realm.delegate_.on_promise_rejection(close(message.GetPromise()), realm.undefined(), true);
      break;
    case v8::kPromiseRejectAfterResolved:
    case v8::kPromiseResolveAfterResolved:
      break;  // settled promises stay as they are; nobody asked to hear of it
  }
}

void V8Realm::on_message(v8::Local<v8::Message> message, v8::Local<v8::Value> thrown) {
  V8Realm& realm = of(message->GetIsolate());
  const v8::HandleScope handles(realm.isolate_);
  realm.remember_thrown(thrown, message);
  realm.contain([&] { realm.delegate_.on_microtask_exception(close(thrown)); });
}

Realm::Deferred V8Realm::deferred() {
  const auto resolver = v8::Promise::Resolver::New(context()).ToLocalChecked();
  return {close(resolver->GetPromise()), close(resolver)};
}

void V8Realm::resolve(Local resolver, Local value) {
  open(resolver).As<v8::Promise::Resolver>()->Resolve(context(), open(value)).FromMaybe(false);
}

void V8Realm::reject(Local resolver, Local reason) {
  open(resolver).As<v8::Promise::Resolver>()->Reject(context(), open(reason)).FromMaybe(false);
}

PromiseState V8Realm::promise_state(Local promise) {
  switch (open(promise).As<v8::Promise>()->State()) {
    case v8::Promise::kPending:
      return PromiseState::pending;
    case v8::Promise::kFulfilled:
      return PromiseState::fulfilled;
    case v8::Promise::kRejected:
      return PromiseState::rejected;
  }
  return PromiseState::pending;
}

Local V8Realm::promise_result(Local promise) {
  const auto opened = open(promise).As<v8::Promise>();
  return opened->State() == v8::Promise::kPending ? undefined() : close(opened->Result());
}

void V8Realm::promise_then(Local promise, Local on_fulfilled, Local on_rejected) {
  // V8 looks at the promise's constructor, which the script may have replaced.
  const v8::TryCatch try_catch(isolate_);
  v8::Local<v8::Promise> derived;
  const auto reacted = open(promise).As<v8::Promise>()->Then(context(), open(on_fulfilled).As<v8::Function>(),
                                                             open(on_rejected).As<v8::Function>());
  if (reacted.ToLocal(&derived)) derived->MarkAsHandled();
}

void V8Realm::mark_handled(Local promise) {
  open(promise).As<v8::Promise>()->MarkAsHandled();
}

void V8Realm::enqueue_microtask(Local function) {
  microtasks_->EnqueueMicrotask(isolate_, open(function).As<v8::Function>());
}

bool V8Realm::drain_microtasks() {
  microtasks_->PerformCheckpoint(isolate_);
  // V8 does this after a drain only if there was something to drain; WeakRef targets must not stay pinned otherwise.
  isolate_->ClearKeptObjects();
  return !isolate_->IsExecutionTerminating();
}

// --- Exceptions ---

SourceLocation V8Realm::location_of(v8::Local<v8::Message> message) {
  SourceLocation location;
  const auto resource = message->GetScriptOrigin().ResourceName();
  if (!resource.IsEmpty() && resource->IsString()) location.resource = utf8_of(resource);
  location.line = message->GetLineNumber(context()).FromMaybe(0);
  location.column = location.line == 0 ? 0 : message->GetStartColumn(context()).FromMaybe(-1) + 1;
  v8::Local<v8::String> line;
  if (message->GetSourceLine(context()).ToLocal(&line)) location.source_line = utf8_of(line);
  return location;
}

Exception V8Realm::describe(Local thrown) {
  const v8::HandleScope handles(isolate_);
  const v8::TryCatch try_catch(isolate_);
  const v8::Local<v8::Value> value = open(thrown);
  Exception exception;
  const bool remembered = !thrown_.IsEmpty() && thrown_.Get(isolate_)->StrictEquals(value);
  const v8::Local<v8::Message> message =
      remembered ? thrown_message_.Get(isolate_) : v8::Exception::CreateMessage(isolate_, value);
  exception.message = utf8_of(message->Get());
  if (constexpr std::string_view kPrefix = "Uncaught "; exception.message.starts_with(kPrefix)) {
    exception.message.erase(0, kPrefix.size());
  }
  exception.location = location_of(message);
  // Without a place of its own, a value gets that of the code that asks, which is ours.
  if (exception.location.resource.starts_with(kInternalScripts)) exception.location = {};
  // Through the descriptor, so that a getter that the script has put there does not run.
  v8::Local<v8::Value> descriptor;
  if (value->IsNativeError() &&
      value.As<v8::Object>()->GetOwnPropertyDescriptor(context(), key("stack")).ToLocal(&descriptor) &&
      descriptor->IsObject()) {
    v8::Local<v8::Value> stack;
    if (descriptor.As<v8::Object>()->Get(context(), key("value")).ToLocal(&stack) && stack->IsString()) {
      exception.stack = utf8_of(stack);
    }
  }
  return exception;
}

void V8Realm::remember_thrown(v8::Local<v8::Value> thrown, v8::Local<v8::Message> message) {
  thrown_.Reset(isolate_, thrown);
  thrown_message_.Reset(isolate_, message);
}

std::vector<SourceLocation> V8Realm::current_stack(int depth) {
  const v8::HandleScope handles(isolate_);
  std::vector<SourceLocation> frames;
  const auto trace = v8::StackTrace::CurrentStackTrace(isolate_, depth, v8::StackTrace::kDetailed);
  for (int i = 0; i < trace->GetFrameCount(); ++i) {
    const auto frame = trace->GetFrame(isolate_, static_cast<std::uint32_t>(i));
    SourceLocation location;
    if (!frame->GetScriptName().IsEmpty()) location.resource = utf8_of(frame->GetScriptName());
    if (!frame->GetFunctionName().IsEmpty()) location.function = utf8_of(frame->GetFunctionName());
    location.line = frame->GetLineNumber();
    location.column = frame->GetColumn();
    frames.push_back(std::move(location));
  }
  return frames;
}

// --- Stopping ---

void V8Realm::terminate() {
  // Read in on_call. One that just misses it is caught by V8 itself, whose own request follows.
  terminating_.store(true, std::memory_order_relaxed);
  isolate_->TerminateExecution();
}

void V8Realm::cancel_termination() {
  terminating_.store(false, std::memory_order_relaxed);
  isolate_->CancelTerminateExecution();
  if (heap_limit_before_ != 0) {
    isolate_->RemoveNearHeapLimitCallback(&V8Realm::on_near_heap_limit, std::exchange(heap_limit_before_, 0));
    isolate_->AddNearHeapLimitCallback(&V8Realm::on_near_heap_limit, this);
  }
}

void V8Realm::request_interrupt(Task task) {
  auto interrupt = std::make_unique<Interrupt>(Interrupt{this, std::move(task)});
  Interrupt* address = interrupt.get();
  {
    const std::lock_guard lock(interrupts_mutex_);
    interrupts_.push_back(std::move(interrupt));
  }
  isolate_->RequestInterrupt(&V8Realm::on_interrupt, address);
}

void V8Realm::on_interrupt(v8::Isolate*, void* data) {
  auto* address = static_cast<Interrupt*>(data);
  V8Realm& realm = *address->realm;
  std::unique_ptr<Interrupt> interrupt;
  {
    const std::lock_guard lock(realm.interrupts_mutex_);
    const auto found =
        std::ranges::find_if(realm.interrupts_, [address](const auto& entry) { return entry.get() == address; });
    interrupt = std::move(*found);
    realm.interrupts_.erase(found);
  }
  realm.contain([&] { interrupt->task(); });
}

std::size_t V8Realm::on_near_heap_limit(void* self, std::size_t current, std::size_t) {
  auto& realm = *static_cast<V8Realm*>(self);
  if (realm.heap_limit_before_ == 0) {
    realm.heap_limit_before_ = current;
    realm.delegate_.on_near_heap_limit();
  } else {
    realm.terminate();
  }
  return current + kHeapGrace;
}

MemoryUsage V8Realm::memory_usage() {
  v8::HeapStatistics statistics;
  isolate_->GetHeapStatistics(&statistics);
  return {.heap_total = statistics.total_heap_size(),
          .heap_used = statistics.used_heap_size(),
          .heap_limit = statistics.heap_size_limit(),
          .external = statistics.external_memory(),
          .array_buffers = allocator_->used()};
}

void V8Realm::collect_garbage() {
  isolate_->LowMemoryNotification();
}

// --- The engine ---

namespace {

class V8Engine final : public Engine {
 public:
  explicit V8Engine(const EngineOptions& options) : platform_(Platform::instance(options)) {}
  std::string_view name() const override { return "V8"; }
  std::string version() const override { return v8::V8::GetVersion(); }

  Result<std::unique_ptr<Realm>> make_realm(RealmDelegate& delegate, const RealmLimits& limits,
                                            std::span<const std::byte> snapshot) override {
    return std::make_unique<V8Realm>(platform_, delegate, limits, open_snapshot(snapshot), V8Realm::Purpose::use);
  }

  std::unique_ptr<Realm> make_realm_for_snapshot(RealmDelegate& delegate) override {
    return std::make_unique<V8Realm>(platform_, delegate, RealmLimits(), v8::StartupData{nullptr, 0},
                                     V8Realm::Purpose::snapshot);
  }

 private:
  Platform& platform_;
};

}  // namespace

std::unique_ptr<Engine> make_v8_engine(const EngineOptions& options) {
  return std::make_unique<V8Engine>(options);
}

}  // namespace gyre::js
