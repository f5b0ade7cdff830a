/* The machine's monotonic clock, and the one way to wait on it. */
#ifndef DUANPING_CLOCK_H
#define DUANPING_CLOCK_H

#include <stdint.h>
#include <time.h>

enum { NS_PER_MS = 1000000 };
#define NS_PER_S INT64_C(1000000000)

static inline int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* Sleeps until a little before the instant and then polls: a sleep overshoots. */
void wait_until(int64_t instant_ns);

#endif
