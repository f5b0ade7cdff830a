#include "clock.h"

static const int64_t SPIN_NS = 200000; /* the scheduler's slack is 50 µs, and often more */

void wait_until(int64_t instant_ns) {
  int64_t coarse = instant_ns - SPIN_NS;
  if (coarse > now_ns()) {
    struct timespec until = {.tv_sec = (time_t)(coarse / NS_PER_S),
                             .tv_nsec = (long)(coarse % NS_PER_S)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL)) {
    }
  }
  while (now_ns() < instant_ns) {
  }
}
