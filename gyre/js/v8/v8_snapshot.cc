#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include <elf.h>
#include <link.h>

#include <gyre/js/v8/v8_snapshot.h>

namespace gyre::js {
namespace {

// The blob starts at this distance, so that it is as well aligned as the sealed bytes are.
constexpr std::size_t kHeaderBytes = 128;

struct Search {
  std::uintptr_t address;  // of something in the library that is looked for
  std::string build_id;
};

std::string build_id_in(const char* notes, std::size_t size) {
  std::size_t at = 0;
  const auto padded = [](std::size_t length) { return (length + 3) & ~std::size_t{3}; };
  while (at + sizeof(ElfW(Nhdr)) <= size) {
    ElfW(Nhdr) note;
    std::memcpy(&note, notes + at, sizeof(note));
    const char* name = notes + at + sizeof(note);
    const char* content = name + padded(note.n_namesz);
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && std::memcmp(name, "GNU", 4) == 0) {
      return std::string(content, note.n_descsz);
    }
    at += sizeof(note) + padded(note.n_namesz) + padded(note.n_descsz);
  }
  return {};
}

int look_into(dl_phdr_info* object, std::size_t, void* data) {
  auto& search = *static_cast<Search*>(data);
  bool found = false;
  std::string build_id;
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const auto& header = object->dlpi_phdr[i];
    const std::uintptr_t begin = object->dlpi_addr + header.p_vaddr;
    if (header.p_type == PT_LOAD && search.address >= begin && search.address < begin + header.p_memsz) found = true;
    if (header.p_type == PT_NOTE && build_id.empty()) {
      build_id = build_id_in(reinterpret_cast<const char*>(begin), header.p_memsz);
    }
  }
  if (found) search.build_id = build_id;
  return found ? 1 : 0;  // 1 ends the search
}

// V8's version and, where the linker gave it one, the build id of the library that V8 is in.
std::array<char, kHeaderBytes> engine_identity() {
  Search search{reinterpret_cast<std::uintptr_t>(&v8::V8::GetVersion), {}};
  dl_iterate_phdr(&look_into, &search);
  std::string identity = std::string("gyre snapshot ") + v8::V8::GetVersion() + ' ';
  for (const char c : search.build_id) {
    constexpr char kDigits[] = "0123456789abcdef";
    identity += kDigits[static_cast<unsigned char>(c) >> 4];
    identity += kDigits[static_cast<unsigned char>(c) & 15];
  }
  std::array<char, kHeaderBytes> header{};
  std::copy_n(identity.begin(), std::min(identity.size(), header.size()), header.begin());
  return header;
}

}  // namespace

std::vector<std::byte> seal_snapshot(std::span<const std::byte> blob) {
  const auto identity = engine_identity();
  const auto header = std::as_bytes(std::span(identity));
  std::vector<std::byte> sealed(header.begin(), header.end());
  sealed.insert(sealed.end(), blob.begin(), blob.end());
  return sealed;
}

v8::StartupData open_snapshot(std::span<const std::byte> sealed) {
  v8::StartupData data{nullptr, 0};
  if (sealed.size() <= kHeaderBytes) return data;
  if (std::memcmp(sealed.data(), engine_identity().data(), kHeaderBytes) != 0) return data;
  data.data = reinterpret_cast<const char*>(sealed.data() + kHeaderBytes);
  data.raw_size = static_cast<int>(sealed.size() - kHeaderBytes);
  return data.IsValid() ? data : v8::StartupData{nullptr, 0};
}

}  // namespace gyre::js
