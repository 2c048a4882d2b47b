#include <iterator>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <gyre/base/context.h>
#include <gyre/base/uuid.h>
#include <gyre/loop/internal/test_support.h>
#include <gyre/poll/batcher.h>
#include <gyre/poll/collect.h>
#include <gyre/poll/scheduler.h>
#include <gyre/promise/timers.h>
#include <gyre/promise/work.h>
#include <gyre/rate/limiter.h>

// Polls, a channel, batches, a database and a rate limit in one program: what is polled is what is stored, and one id
// names each value from its poll to its row.

namespace gyre {
namespace {

using namespace testing;
using poll::Control;
using poll::SecondStage;

/// SQLite, as much of it as this test needs.
class Database {
 public:
  Database() {
    if (sqlite3_open(":memory:", &database_) != SQLITE_OK) throw std::runtime_error("no database");
  }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database() { sqlite3_close(database_); }

  void execute(const char* statement) {
    if (sqlite3_exec(database_, statement, nullptr, nullptr, nullptr) != SQLITE_OK) fail();
  }
  /// Binds the values as text, and returns the rows' columns as text, one row after another.
  std::vector<std::string> query(const std::string& text, const std::vector<std::string>& values = {}) {
    sqlite3_stmt* prepared = nullptr;
    if (sqlite3_prepare_v2(database_, text.c_str(), -1, &prepared, nullptr) != SQLITE_OK) fail();
    const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> statement(prepared, &sqlite3_finalize);
    for (std::size_t i = 0; i < values.size(); ++i) {
      sqlite3_bind_text(prepared, static_cast<int>(i) + 1, values[i].data(), static_cast<int>(values[i].size()),
                        SQLITE_TRANSIENT);
    }
    std::vector<std::string> columns;
    int status = 0;
    while ((status = sqlite3_step(prepared)) == SQLITE_ROW) {
      for (int i = 0; i < sqlite3_column_count(prepared); ++i) {
        const auto* const column = reinterpret_cast<const char*>(sqlite3_column_text(prepared, i));
        columns.emplace_back(column == nullptr ? "" : column);
      }
    }
    if (status != SQLITE_DONE) fail();
    return columns;
  }

 private:
  [[noreturn]] void fail() const { throw std::runtime_error(sqlite3_errmsg(database_)); }

  sqlite3* database_ = nullptr;
};

const ContextKey<std::string>& request_id() {
  static const ContextKey<std::string> key("request_id");
  return key;
}

std::string id_of(const Context& context) {
  const std::string* const id = context.get(request_id());
  return id == nullptr ? std::string() : *id;
}

struct Row {
  std::string source;
  int value = 0;
  Context context;  // a channel carries values only; what they belong to goes with them
};

/// Lines of JSON, each with the id of the work that it belongs to.
class Log {
 public:
  void write(const char* event, const Row& row) {
    lines_.push_back(fmt::format(R"({{"event":"{}","source":"{}","value":{},"request_id":"{}"}})", event, row.source,
                                 row.value, id_of(row.context)));
  }
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  std::vector<std::string> lines_;
};

TEST(PollPipeline, S44_WhatIsPolledIsStoredUnderOneId) {
  constexpr int kPolls = 40;  // of each source
  constexpr int kNoisyLimit = 15;
  const std::vector<std::string> sources{"stock", "price", "noisy"};

  Log log;
  Database database;
  database.execute("CREATE TABLE rows (source TEXT, value INTEGER, request_id TEXT)");
  rate::Limiter<std::string> limiter(must(rate::Rates::create({{.duration = 1h, .limit = kNoisyLimit}})));

  Loop loop({.auto_exit = true});
  poll::Channel<Row> channel(8);
  std::stop_source stop;
  int ended = 0;
  std::size_t produced = 0;

  poll::Scheduler<std::string> poller(loop);
  std::map<std::string, int> polled;
  const auto schedule = [&](Control<std::string>& control, const std::string& source, Duration delay) {
    // Each poll is a piece of work of its own: its stages, its value and its row have one id.
    const ContextScope scope(Context().with(request_id(), Uuid::v7().to_string()));
    must(control.schedule(source, delay));
  };
  for (const std::string& source : sources) {
    must(poller.add(source, [&, source](Loop& home) -> Promise<SecondStage<std::string>> {
      co_await sleep_for(home, 1ms);
      const Row row{.source = source, .value = ++polled[source], .context = Context::current()};
      const bool passes = source != "noisy" || limiter.allow(source).accepted;
      log.write(passes ? "polled" : "left out", row);
      if (passes) {
        co_await channel.send(home, row);
        ++produced;
      }
      co_return [&, row](Control<std::string>& control) {
        EXPECT_EQ(Context::current(), row.context);
        if (row.value < kPolls) return schedule(control, row.source, 1ms);
        if (++ended == std::ssize(sources)) stop.request_stop();
      };
    }));
  }
  must(poller.add_run_hook([&](Control<std::string>& control) {
    for (const std::string& source : sources) schedule(control, source, 0ms);
  }));

  // The database blocks: it belongs to a thread of the pool, one call at a time.
  poll::Batcher<Row, void> writer(loop, {.max_size = 7, .interval = 5ms},
                                  [&](Loop& home, std::vector<Row> rows, const poll::BatchCall call) -> Promise<void> {
                                    for (std::size_t i = 0; i < rows.size(); ++i) {
                                      EXPECT_EQ(call.contexts[i], rows[i].context);
                                      log.write("written", rows[i]);
                                    }
                                    const auto stored = offload(home, [&database, rows = std::move(rows)] {
                                      database.execute("BEGIN");
                                      for (const Row& row : rows) {
                                        database.query("INSERT INTO rows VALUES (?, ?, ?)",
                                                       {row.source, std::to_string(row.value), id_of(row.context)});
                                      }
                                      database.execute("COMMIT");
                                    });
                                    co_await stored;
                                  });

  const auto drain = [&](Loop& home) -> Promise<void> {
    std::vector<Promise<void>> results;
    while (true) {
      std::vector<Row> rows;
      const poll::CollectResult collected =
          co_await poll::collect(home, channel, {.max = 10, .min = 3, .partial_timeout = 3ms}, rows);
      for (Row& row : rows) {
        const ContextScope scope(row.context);
        log.write("collected", row);
        results.push_back(writer.submit(std::move(row)).result());
      }
      if (!collected.is_success()) break;
    }
    co_await writer.shutdown();
    for (const auto& result : results) co_await result;
  };

  const auto why = poller.run({.stop = stop.get_token(), .exit = poll::ExitMode::wait});
  why.then([&](const Reason&) { channel.close(); });
  const auto drained = drain(loop);
  must(loop.run());

  ASSERT_TRUE(why.is_fulfilled());
  EXPECT_TRUE(why.value()->is(Errc::cancelled)) << why.value()->message();
  ASSERT_TRUE(drained.is_fulfilled());

  // Everything that was produced is a row, and the limit has capped its category alone.
  EXPECT_EQ(produced, std::size_t{2 * kPolls + kNoisyLimit});
  EXPECT_EQ(database.query("SELECT source, count(*), count(DISTINCT value) FROM rows GROUP BY source ORDER BY source"),
            (std::vector<std::string>{"noisy", "15", "15", "price", "40", "40", "stock", "40", "40"}));

  // The log is read back as JSON, by the database: each row has one record of each kind with its id, its source and its
  // value, and no id is anybody else's.
  database.execute("CREATE TABLE log (line TEXT)");
  for (const std::string& line : log.lines()) database.query("INSERT INTO log VALUES (?)", {line});
  database.execute(
      "CREATE VIEW records AS SELECT line ->> 'event' AS event, line ->> 'source' AS source, line ->> 'value' AS "
      "value, "
      "line ->> 'request_id' AS request_id FROM log");
  EXPECT_EQ(database.query("SELECT count(*) FROM records WHERE event = 'left out'"),
            std::vector<std::string>{std::to_string(kPolls - kNoisyLimit)});
  for (const char* event : {"polled", "collected", "written"}) {
    EXPECT_EQ(database.query("SELECT count(*) FROM rows JOIN records USING (request_id, source, value) WHERE event = ?",
                             {event}),
              std::vector<std::string>{std::to_string(produced)})
        << event;
    EXPECT_EQ(database.query("SELECT count(*) FROM records WHERE event = ?", {event}),
              std::vector<std::string>{std::to_string(produced)})
        << event;
  }
  EXPECT_EQ(database.query("SELECT count(DISTINCT request_id) FROM rows WHERE length(request_id) = 36"),
            std::vector<std::string>{std::to_string(produced)});
}

}  // namespace
}  // namespace gyre
