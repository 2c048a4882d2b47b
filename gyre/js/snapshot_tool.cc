// Writes the snapshot of a realm with the built-ins loaded; part of the build: snapshot_tool OUTPUT

#include <cstdio>
#include <exception>
#include <fstream>

#include <gyre/js/engine.h>
#include <gyre/js/internal/runtime_core.h>
#include <gyre/loop/loop.h>

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s OUTPUT\n", argv[0]);
    return 2;
  }
  try {
    gyre::Loop loop;
    const auto engine = gyre::js::make_v8_engine();
    const auto core = std::make_shared<gyre::js::internal::RuntimeCore>(loop, gyre::js::RuntimeOptions());
    const auto snapshot = core->make_snapshot(*engine);
    std::ofstream file(argv[1], std::ios::binary);
    file.write(reinterpret_cast<const char*>(snapshot.data()), static_cast<std::streamsize>(snapshot.size()));
    file.close();
    if (!file) {
      std::fprintf(stderr, "cannot write %s\n", argv[1]);
      return 1;
    }
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
