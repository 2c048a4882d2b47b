#include <cmath>
#include <limits>

#include <gyre/js/v8/v8_realm.h>

// Making JavaScript values and looking at them.

namespace gyre::js {

v8::Local<v8::String> V8Realm::text(std::string_view utf8) {
  return v8::String::NewFromUtf8(isolate_, utf8.data(), v8::NewStringType::kNormal, static_cast<int>(utf8.size()))
      .FromMaybe(v8::String::Empty(isolate_));
}

v8::Local<v8::String> V8Realm::key(std::string_view utf8) {
  return v8::String::NewFromUtf8(isolate_, utf8.data(), v8::NewStringType::kInternalized, static_cast<int>(utf8.size()))
      .FromMaybe(v8::String::Empty(isolate_));
}

std::string V8Realm::utf8_of(v8::Local<v8::Value> value) {
  const v8::TryCatch try_catch(isolate_);
  v8::Local<v8::String> string;
  if (!value->ToString(context()).ToLocal(&string)) return {};
  const int length = string->Utf8Length(isolate_);
  std::string utf8(static_cast<std::size_t>(length), '\0');
  // Half a surrogate pair is no character, and has no form in UTF-8.
  string->WriteUtf8(isolate_, utf8.data(), length, nullptr,
                    v8::String::NO_NULL_TERMINATION | v8::String::REPLACE_INVALID_UTF8);
  return utf8;
}

Local V8Realm::undefined() {
  return close(v8::Undefined(isolate_));
}
Local V8Realm::null() {
  return close(v8::Null(isolate_));
}
Local V8Realm::boolean(bool value) {
  return close(v8::Boolean::New(isolate_, value));
}
Local V8Realm::number(double value) {
  return close(v8::Number::New(isolate_, value));
}
Local V8Realm::bigint(std::int64_t value) {
  return close(v8::BigInt::New(isolate_, value));
}

Local V8Realm::bigint_unsigned(std::uint64_t value) {
  return close(v8::BigInt::NewFromUnsigned(isolate_, value));
}

Local V8Realm::string(std::string_view utf8) {
  if (utf8.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) return {};
  v8::Local<v8::String> made;
  if (!v8::String::NewFromUtf8(isolate_, utf8.data(), v8::NewStringType::kNormal, static_cast<int>(utf8.size()))
           .ToLocal(&made)) {
    return {};
  }
  return close(made);
}

Local V8Realm::symbol_for(std::string_view name) {
  return close(v8::Symbol::For(isolate_, key(name)));
}
Local V8Realm::object() {
  return close(v8::Object::New(isolate_));
}

Local V8Realm::array(std::span<const Local> elements) {
  // A Local is a v8::Local's slot and nothing else, so the array can be handed over as it is.
  auto* first = reinterpret_cast<v8::Local<v8::Value>*>(const_cast<Local*>(elements.data()));
  return close(v8::Array::New(isolate_, first, elements.size()));
}

Local V8Realm::array_buffer(std::vector<std::byte> bytes) {
  struct Owner {
    std::vector<std::byte> bytes;
    std::shared_ptr<BudgetAllocator> budget;
  };
  if (bytes.empty()) return close(v8::ArrayBuffer::New(isolate_, 0));
  if (!allocator_->reserve(bytes.size())) return {};
  auto* owner = new Owner{std::move(bytes), allocator_};
  auto store = v8::ArrayBuffer::NewBackingStore(
      owner->bytes.data(), owner->bytes.size(),
      [](void*, std::size_t length, void* data) {
        const std::unique_ptr<Owner> done(static_cast<Owner*>(data));
        done->budget->release(length);
      },
      owner);
  return close(v8::ArrayBuffer::New(isolate_, std::move(store)));
}

Local V8Realm::uint8_array(std::vector<std::byte> bytes) {
  const std::size_t size = bytes.size();
  const Local buffer = array_buffer(std::move(bytes));
  return buffer.is_empty() ? buffer : close(v8::Uint8Array::New(open(buffer).As<v8::ArrayBuffer>(), 0, size));
}

Local V8Realm::function(std::string_view name, int length, NativeFunction callback) {
  auto function = std::make_unique<HostFunction>();
  function->realm = this;
  function->callback = std::move(callback);
  const auto made = v8::Function::New(context(), &V8Realm::on_call, v8::External::New(isolate_, function.get()), length,
                                      v8::ConstructorBehavior::kThrow)
                        .ToLocalChecked();
  made->SetName(key(name));
  function->handle.Reset(isolate_, made);
  function->handle.SetWeak(function.get(), &V8Realm::on_collected, v8::WeakCallbackType::kParameter);
  functions_.push_back(*function.release());
  return close(made);
}

Local V8Realm::builtin_function(std::string_view name, int length, NativeFunction callback) {
  const auto number = static_cast<int>(builtin_functions_.size());
  builtin_functions_.push_back(std::move(callback));
  const auto made = v8::Function::New(context(), &V8Realm::on_call, v8::Integer::New(isolate_, number), length,
                                      v8::ConstructorBehavior::kThrow)
                        .ToLocalChecked();
  made->SetName(key(name));
  return close(made);
}

Local V8Realm::error(ErrorClass error_class, std::string_view message) {
  const v8::Local<v8::String> what = text(message);
  switch (error_class) {
    case ErrorClass::error:
      return close(v8::Exception::Error(what));
    case ErrorClass::range_error:
      return close(v8::Exception::RangeError(what));
    case ErrorClass::reference_error:
      return close(v8::Exception::ReferenceError(what));
    case ErrorClass::syntax_error:
      return close(v8::Exception::SyntaxError(what));
    case ErrorClass::type_error:
      return close(v8::Exception::TypeError(what));
  }
  return undefined();
}

// --- Looking ---

ValueType V8Realm::type_of(Local value) {
  const v8::Local<v8::Value> opened = open(value);
  if (opened->IsUndefined()) return ValueType::undefined;
  if (opened->IsNull()) return ValueType::null;
  if (opened->IsString()) return ValueType::string;
  if (opened->IsNumber()) return ValueType::number;
  if (opened->IsBoolean()) return ValueType::boolean;
  if (opened->IsFunction()) return ValueType::function;
  if (opened->IsSymbol()) return ValueType::symbol;
  if (opened->IsBigInt()) return ValueType::bigint;
  return ValueType::object;
}

bool V8Realm::to_boolean(Local value) {
  return open(value)->BooleanValue(isolate_);
}

double V8Realm::to_number(Local value) {
  const v8::Local<v8::Value> opened = open(value);
  return opened->IsNumber() ? opened.As<v8::Number>()->Value() : std::numeric_limits<double>::quiet_NaN();
}

std::optional<std::int64_t> V8Realm::to_int64(Local value) {
  const v8::Local<v8::Value> opened = open(value);
  if (opened->IsBigInt()) {
    bool lossless = false;
    const std::int64_t number = opened.As<v8::BigInt>()->Int64Value(&lossless);
    return lossless ? std::optional(number) : std::nullopt;
  }
  const double number = to_number(value);
  constexpr double kLimit = 9223372036854775808.0;  // 2^63, the first double out of range
  if (!(number >= -kLimit && number < kLimit) || number != std::trunc(number)) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

std::string V8Realm::to_utf8(Local value) {
  const v8::Local<v8::Value> opened = open(value);
  if (opened->IsSymbol()) {
    return "Symbol(" + utf8_of(opened.As<v8::Symbol>()->Description(isolate_)) + ")";
  }
  if (!opened->IsObject()) return utf8_of(opened);
  const v8::Local<v8::Object> object = opened.As<v8::Object>();
  if (opened->IsProxy()) return "[object Proxy]";
  return "[object " + utf8_of(object->GetConstructorName()) + "]";
}

std::optional<std::uint64_t> V8Realm::to_uint64(Local value) {
  const v8::Local<v8::Value> opened = open(value);
  if (opened->IsBigInt()) {
    bool lossless = false;
    const std::uint64_t number = opened.As<v8::BigInt>()->Uint64Value(&lossless);
    return lossless ? std::optional(number) : std::nullopt;
  }
  const double number = to_number(value);
  constexpr double kLimit = 18446744073709551616.0;  // 2^64, the first double out of range
  if (!(number >= 0 && number < kLimit) || number != std::trunc(number)) return std::nullopt;
  return static_cast<std::uint64_t>(number);
}

bool V8Realm::is_array(Local value) {
  return open(value)->IsArray();
}
bool V8Realm::is_promise(Local value) {
  return open(value)->IsPromise();
}
bool V8Realm::same_value(Local a, Local b) {
  return open(a)->SameValue(open(b));
}

std::uint32_t V8Realm::array_length(Local value) {
  const v8::Local<v8::Value> opened = open(value);
  return opened->IsArray() ? opened.As<v8::Array>()->Length() : 0;
}

std::optional<std::span<std::byte>> V8Realm::bytes_of(Local value) {
  const v8::Local<v8::Value> opened = open(value);
  if (opened->IsArrayBufferView()) {
    const auto view = opened.As<v8::ArrayBufferView>();
    auto* data = static_cast<std::byte*>(view->Buffer()->GetBackingStore()->Data());
    return std::span(data + view->ByteOffset(), view->ByteLength());
  }
  if (opened->IsArrayBuffer()) {
    const auto store = opened.As<v8::ArrayBuffer>()->GetBackingStore();
    return std::span(static_cast<std::byte*>(store->Data()), store->ByteLength());
  }
  return std::nullopt;
}

std::string_view V8Realm::kind_of(Local value) {
  const v8::Local<v8::Value> v = open(value);
  if (!v->IsObject()) return "";
  if (v->IsProxy()) return "Proxy";
  if (v->IsFunction()) {
    // An async generator function is both; the more special name comes first.
    if (v->IsAsyncFunction()) return v->IsGeneratorFunction() ? "AsyncGeneratorFunction" : "AsyncFunction";
    return v->IsGeneratorFunction() ? "GeneratorFunction" : "";
  }
  if (v->IsArray()) return "";
  if (v->IsNativeError()) return "Error";
  if (v->IsMap()) return "Map";
  if (v->IsSet()) return "Set";
  if (v->IsPromise()) return "Promise";
  if (v->IsDate()) return "Date";
  if (v->IsRegExp()) return "RegExp";
  if (v->IsTypedArray()) return "TypedArray";
  if (v->IsDataView()) return "DataView";
  if (v->IsArrayBuffer()) return "ArrayBuffer";
  if (v->IsSharedArrayBuffer()) return "SharedArrayBuffer";
  if (v->IsMapIterator()) return "MapIterator";
  if (v->IsSetIterator()) return "SetIterator";
  if (v->IsGeneratorObject()) return "Generator";
  if (v->IsWeakMap()) return "WeakMap";
  if (v->IsWeakSet()) return "WeakSet";
#if V8_MAJOR_VERSION >= 12
  if (v->IsWeakRef()) return "WeakRef";
#endif
  if (v->IsNumberObject()) return "NumberObject";
  if (v->IsStringObject()) return "StringObject";
  if (v->IsBooleanObject()) return "BooleanObject";
  if (v->IsBigIntObject()) return "BigIntObject";
  if (v->IsSymbolObject()) return "SymbolObject";
  if (v->IsArgumentsObject()) return "Arguments";
  if (v->IsModuleNamespaceObject()) return "ModuleNamespace";
  if (v->IsExternal()) return "External";
  return "";
}

std::optional<std::pair<Local, Local>> V8Realm::proxy_details(Local value) {
  const v8::Local<v8::Value> opened = open(value);
  if (!opened->IsProxy()) return std::nullopt;
  const auto proxy = opened.As<v8::Proxy>();
  return std::pair(close(proxy->GetTarget()), close(proxy->GetHandler()));
}

std::optional<std::pair<Local, bool>> V8Realm::preview_entries(Local value) {
  const v8::Local<v8::Value> opened = open(value);
  if (!opened->IsObject()) return std::nullopt;
  bool is_key_value = false;
  v8::Local<v8::Array> entries;
  if (!opened.As<v8::Object>()->PreviewEntries(&is_key_value).ToLocal(&entries)) return std::nullopt;
  return std::pair(close(entries), is_key_value);
}

std::string V8Realm::constructor_name(Local object) {
  return utf8_of(open(object).As<v8::Object>()->GetConstructorName());
}

// --- Properties ---

Completion V8Realm::get(Local object, std::string_view name) {
  return complete([&] { return open(object).As<v8::Object>()->Get(context(), key(name)); });
}

Completion V8Realm::get(Local object, Local property) {
  return complete([&] { return open(object).As<v8::Object>()->Get(context(), open(property)); });
}

Completion V8Realm::get_index(Local object, std::uint32_t index) {
  return complete([&] { return open(object).As<v8::Object>()->Get(context(), index); });
}

Completion V8Realm::set(Local object, std::string_view name, Local value) {
  return complete([&]() -> v8::MaybeLocal<v8::Value> {
    if (open(object).As<v8::Object>()->Set(context(), key(name), open(value)).IsNothing()) return {};
    return v8::Undefined(isolate_);
  });
}

Completion V8Realm::own_keys(Local object) {
  return complete([&]() -> v8::MaybeLocal<v8::Value> {
    v8::Local<v8::Array> names;
    if (!open(object)
             .As<v8::Object>()
             ->GetOwnPropertyNames(context(), static_cast<v8::PropertyFilter>(v8::ONLY_ENUMERABLE | v8::SKIP_SYMBOLS),
                                   v8::KeyConversionMode::kConvertToString)
             .ToLocal(&names)) {
      return {};
    }
    return names;
  });
}

Completion V8Realm::own_named_keys(Local object, bool include_hidden) {
  return complete([&]() -> v8::MaybeLocal<v8::Value> {
    v8::Local<v8::Array> names;
    if (!open(object)
             .As<v8::Object>()
             ->GetPropertyNames(context(), v8::KeyCollectionMode::kOwnOnly,
                                include_hidden ? v8::ALL_PROPERTIES : v8::ONLY_ENUMERABLE,
                                v8::IndexFilter::kSkipIndices)
             .ToLocal(&names)) {
      return {};
    }
    return names;
  });
}

Local V8Realm::global() {
  return close(context()->Global());
}

}  // namespace gyre::js
