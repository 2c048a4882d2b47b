"""What is measured: the rows of the report. A new workload is a template in harness/*_workloads.h, an offer in each peer
that can do it, and a row here."""

from dataclasses import dataclass, field


@dataclass
class Row:
    workload: str
    params: dict = field(default_factory=dict)
    quick_n: int = 50_000
    n: int = 0  # 0: the workload's own
    # Counts per op depend on n where a queue grows with it; elsewhere the counting pass makes do with quick_n.
    counts_need_n: bool = False
    unit: str = "ns"  # or "bytes": live bytes per op, from the counting pass alone
    slow: bool = False  # left out of --quick
    # Variants that do something else than the rest of the row: shown, but no peer's best.
    aside: frozenset = frozenset()


ROWS = [
    Row("post_burst", {"idle": "spin"}, counts_need_n=True),
    Row("ping_pong", quick_n=50_000, aside=frozenset({("libuv", "idle")})),
    Row("ping_pong_xthread", {"wait": "spin", "idle": "spin"}, quick_n=5_000),
    Row("ping_pong_xthread", {"wait": "futex", "idle": "spin"}, quick_n=5_000),
    Row("ping_pong_xthread", {"wait": "futex", "idle": "halt"}, quick_n=2_000),
    Row("multi_producer", {"p": 1, "idle": "spin"}, counts_need_n=True),
    Row("multi_producer", {"p": 2, "idle": "spin"}, counts_need_n=True),
    Row("multi_producer", {"p": 10, "idle": "spin"}, counts_need_n=True),
    Row("multi_producer", {"p": 100, "idle": "spin"}, counts_need_n=True),
    Row("wake_idle", {"idle": "spin"}, quick_n=500),
    Row("wake_idle", {"idle": "halt"}, quick_n=500),
    Row("deferred"),
    Row("timer_schedule_cancel", {"k": 0}, quick_n=100_000),
    Row("timer_schedule_cancel", {"k": 1_000}, quick_n=100_000),
    Row("timer_schedule_cancel", {"k": 100_000}, quick_n=100_000),
    Row("timer_schedule_cancel", {"k": 1_000_000}, quick_n=100_000, slow=True),
    Row("timer_rearm", {"k": 100_000}, quick_n=100_000),
    Row("timer_fire", {"idle": "spin", "n": 100_000}, n=100_000, quick_n=100_000),
    Row("timer_fire", {"idle": "spin", "n": 1_000_000}, n=1_000_000, quick_n=1_000_000, slow=True),
    Row("timer_lateness", {"idle": "spin"}, n=1_000, quick_n=300),
    Row("fd_ready", {"c": 1}, quick_n=20_000),
    Row("fd_ready", {"c": 100}, quick_n=20_000),
    # A coroutine that returns at once makes no pass through the loop.
    Row("promise_chain", {"len": 10}, quick_n=100_000),
    Row("promise_chain", {"len": 1_000}, quick_n=100_000),
    Row("promise_one", quick_n=100_000, aside=frozenset({("asio", "call"), ("gyre", "traced"), ("gyre", "observed")})),
    Row("promise_all", quick_n=100_000),
    Row("promise_registry", {"batch": 1}),
    Row("promise_registry", {"batch": 10}),
    Row("promise_registry", {"batch": 100}),
    Row("promise_registry", {"batch": 0}),
    Row("promise_registry_end"),
    Row("fd_ready", {"c": 1_000}, quick_n=20_000, slow=True),
    Row("tcp_echo", {"c": 1}, quick_n=0),
    Row("tcp_echo", {"c": 64}, quick_n=0),
    Row("tcp_echo", {"c": 512}, quick_n=0, slow=True),
    Row("mem_timer", quick_n=0, unit="bytes"),
    Row("mem_fd", quick_n=0, unit="bytes"),
    Row("mem_pending_local", quick_n=0, unit="bytes"),
    Row("mem_pending_remote", quick_n=0, unit="bytes"),
    # The machine's own primitives.
    Row("line_bounce_one_way", quick_n=200_000),
    Row("contended_fetch_add", quick_n=200_000),
    Row("shared_line", quick_n=1_000_000),
    Row("spsc_ring_closure", quick_n=500_000),
    Row("mpsc_list_closure_malloc", quick_n=500_000),
    Row("futex_wake_to_run", {"idle": "spin"}, quick_n=500),
    Row("futex_wake_to_run", {"idle": "halt"}, quick_n=500),
    Row("eventfd_wake_to_run", {"idle": "spin"}, quick_n=500),
    Row("eventfd_wake_to_run", {"idle": "halt"}, quick_n=500),
    Row("futex_round_trip", {"idle": "halt"}, quick_n=2_000),
    Row("late_nanosleep", {"idle": "spin"}, quick_n=200),
    Row("dependent_load", {"mib": 1}, quick_n=200_000),
    Row("dependent_load", {"mib": 256}, quick_n=200_000),
]

# Not libraries, but floors: shown beside them, never "the best peer".
FLOORS = frozenset({"raw_epoll", "floors"})

# Plots: a workload, and the parameter along the x axis.
PLOTS = [("multi_producer", "p", "producers"), ("timer_schedule_cancel", "k", "standing timers"),
         ("fd_ready", "c", "socket pairs")]
