#include <gyre/js/runtime.h>
int main(int argc, char** argv) {
  gyre::Loop loop({.auto_exit = true});
  auto engine = gyre::js::make_v8_engine();
  gyre::js::Runtime runtime(loop, *engine, {.file_access = gyre::js::FileAccess::read_write, .task_timeout = argc > 2 ? std::chrono::milliseconds(200) : gyre::Duration::zero()});
  auto r = runtime.run_file(argv[1]);
  if (!r) { fprintf(stderr, "%s\n", r.error().to_string().c_str()); return 1; }
  (void)loop.run();
  if (runtime.limit_error()) fprintf(stderr, "%s\n", runtime.limit_error()->to_string().c_str());
  return runtime.exit_code();
}
