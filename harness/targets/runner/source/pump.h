/* The only loop that waits: queries back to back or on a schedule, idling, pulses
   (harness/loadgen/pump.py). Between the two clock readings of a query there is the call
   itself and nothing else. */
#ifndef DUANPING_PUMP_H
#define DUANPING_PUMP_H

#include "bench.h"
#include "voice.h"

enum { BLOCK_ROWS = 8192 };

typedef struct Times {
  int64_t *issued, *completed;
} Times;

typedef struct Pump {
  Bench *bench;
  Voice *voice;
  const char *phase;
  Times times;
  int pin; /* -1: not opened */
} Pump;

typedef struct Burst { /* what came of one */
  int64_t queries, elapsed_ns;
} Burst;

typedef struct Replay {
  int64_t *offsets; /* turned into instants */
  size_t count;
  int64_t origin_ns; /* -1: as soon as all is ready */
  int64_t segment;
  double rate_hz;                 /* 0: none */
  int64_t bound_ns, allowed_late; /* -1: never given up */
} Replay;

void pump_open(Pump *pump, Bench *bench, Voice *voice);
void pump_enter(Pump *pump, const char *phase);
void pump_idle(Pump *pump, const char *phase, int64_t until_ns);
void pump_mark(Pump *pump, const char *phase, const Marks *marks, int64_t start_ns);
void pump_load(Pump *pump);
Burst pump_burst(Pump *pump, const char *phase, int64_t queries, int64_t until_ns);
int64_t pump_replay(Pump *pump, Replay *replay); /* gives how many were late */

#endif
