/* The wake-up protocol between producers and the loop's owner (gyre/loop/internal/shared_state.h), for the model checker
 * SPIN: no posted task is left behind while the owner sleeps, whatever the interleaving.
 *
 *   spin -a wake_up.pml && cc -O2 -o pan pan.c && ./pan -a
 *
 * All accesses in the code are sequentially consistent, as they are here. The owner's sleep may also end by itself (a
 * timer), a few times and at any moment. The two physical wake-ups, futex and eventfd, behave alike: both remember that
 * they were called. Before it sleeps, the owner may ask whether it is alive, which takes over what was posted meanwhile, without running it;
 * only then it looks whether there is work. What is taken over is tasks or microtasks.
 *
 * With -DLATE_CHECK the owner looks at the flags before it says that it sleeps; with -DKEEP_REQUEST it forgets to clear the
 * request; with -DWORK_FIRST it looks for work before it asks whether it is alive; with -DTASKS_ALONE it does not count
 * microtasks as work. SPIN finds the task left behind in each, which shows that the model can fail.
 */
#define PRODUCERS 3
#define TASKS_EACH 2

bool ingress_pending;   /* the list of posted tasks is not empty; the flag of commands is alike */
bool wake_requested;
bool sleeping;          /* the state word */
bool signalled;         /* the futex word, or the eventfd's counter */
byte queued;            /* what was posted and not yet taken over */
byte tasks;             /* what the owner has taken over and not yet run */
byte microtasks;
byte executed;

inline wake_now() {
  atomic { requested_before = wake_requested; wake_requested = true }
  if
  :: !requested_before -> signalled = true
  :: else -> skip
  fi
}

/* The owner's: moves what was posted into its own queues, by one atomic exchange. */
inline take_over() {
  if
  :: ingress_pending ->
     atomic {
       if
       :: tasks = tasks + queued
       :: microtasks = microtasks + queued
       fi;
       queued = 0;
       ingress_pending = false
     }
  :: else -> skip
  fi
}

proctype Producer() {
  byte posted = 0;
  bool first;
  bool asleep;
  bool requested_before;
  do
  :: posted < TASKS_EACH ->
     atomic {  /* one compare-and-exchange; for commands, under a mutex */
       queued++;
       first = !ingress_pending;
       ingress_pending = true
     }
     if
     :: first ->
        asleep = sleeping;
        if
        :: asleep -> wake_now()
        :: else -> skip
        fi
     :: else -> skip
     fi
     posted++
  :: else -> break
  od
}

active proctype Owner() {
  bool disturbed;
  byte timers = 2;
turn:
  do
  :: true ->
     /* A turn: take over what was posted, and run it. */
     take_over();
     atomic { executed = executed + tasks + microtasks; tasks = 0; microtasks = 0 }
     if
     :: executed == PRODUCERS * TASKS_EACH -> break
     :: else -> skip
     fi
#ifndef WORK_FIRST
     if
     :: take_over()  /* is it alive? */
     :: skip
     fi;
#endif
     if
#ifdef TASKS_ALONE
     :: ingress_pending || tasks > 0 -> goto turn
#else
     :: ingress_pending || tasks > 0 || microtasks > 0 -> goto turn
#endif
     :: else -> skip
     fi;
#ifdef WORK_FIRST
     take_over();
#endif
     /* It may look out for work for a while; what it sees in that time spares it the rest. */
     if
     :: ingress_pending -> goto turn
     :: true -> skip
     fi;
     /* To sleep, unless something has come. */
#ifdef LATE_CHECK
     disturbed = ingress_pending || wake_requested;
     sleeping = true;
#else
     sleeping = true;
     disturbed = ingress_pending || wake_requested;
#endif
     if
     :: !disturbed ->
end_asleep:
        if
        :: signalled -> skip
        :: timers > 0 -> timers--
        fi
     :: else -> skip
     fi
     disturbed = false;
     sleeping = false;
     signalled = false;
#ifndef KEEP_REQUEST
     wake_requested = false
#endif
  od;
  assert(queued + tasks + microtasks == 0)
}

init {
  byte started = 0;
  atomic {
    do
    :: started < PRODUCERS -> run Producer(); started++
    :: else -> break
    od
  }
}

/* Everything that is posted is executed. */
ltl nothing_is_lost { <> (executed == PRODUCERS * TASKS_EACH) }
