#include "pump.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "ending.h"

static const int64_t BLOCK_NS = 500 * NS_PER_MS; /* queries are handed on at least this often */
static const int64_t SLACK_NS = 10 * NS_PER_MS;  /* … and scheduled ones only in such a pause */
static const int64_t LEAD_NS = 10 * NS_PER_MS;   /* so that the first query is on time */

typedef struct Block {
  int64_t samples_per_query, segment;
  double rate_hz;
} Block;

static void hand_on(Pump *pump, const Block *block, const int64_t *scheduled, const Times *times,
                    size_t count) {
  Text *event = voice_event(pump->voice, "QueryBlock");
  text_print(event, ",\"phase\":\"%s\",\"samples_per_query\":%" PRId64 ",\"segment\":%" PRId64,
             pump->phase, block->samples_per_query, block->segment);
  const struct {
    const char *name;
    const int64_t *column;
    size_t count;
  } columns[] = {{"scheduled_ns", scheduled, count},
                 {"issued_ns", times->issued, count},
                 {"completed_ns", times->completed, count},
                 {"inner_counts", NULL, 0},
                 {"inner_ns", NULL, 0}};
  for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
    text_print(event, ",\"%s\":", columns[i].name);
    text_array(event, 'q', columns[i].column, columns[i].count);
  }
  text_print(event, ",\"rate_hz\":");
  if (block->rate_hz > 0) text_real(event, block->rate_hz);
  else text_print(event, "null");
  pump->voice->queries += (int64_t)count;
  voice_say(pump->voice);
}

void pump_open(Pump *pump, Bench *bench, Voice *voice) {
  *pump = (Pump){.bench = bench, .voice = voice, .phase = "", .pin = -1};
  pump->times.issued = allocate(BLOCK_ROWS * sizeof(int64_t));
  pump->times.completed = allocate(BLOCK_ROWS * sizeof(int64_t));
  /* touched now, so that the memory of the largest line belongs to the baseline */
  size_t largest = 5 * (BLOCK_ROWS * 11 + 256);
  text_reserve(&voice->event, largest);
  text_reserve(&voice->line, largest);
  memset(voice->event.data, 0, largest);
  memset(voice->line.data, 0, largest);
}

void pump_enter(Pump *pump, const char *phase) {
  if (!strcmp(pump->phase, phase)) return;
  pump->phase = phase;
  voice_phase(pump->voice, phase, now_ns());
}

void pump_idle(Pump *pump, const char *phase, int64_t until_ns) {
  pump_enter(pump, phase);
  wait_until(until_ns);
}

void pump_load(Pump *pump) {
  Bench *bench = pump->bench;
  pump_enter(pump, "load");
  int64_t begun_ns = now_ns();
  bench_load(bench);
  int64_t load_ns = now_ns() - begun_ns;
  bench_bind(bench);
  text_print(voice_event(pump->voice, "ModelLoaded"),
             ",\"sha256\":\"%s\",\"load_ns\":%" PRId64
             ",\"quantised_nodes\":null,\"quantisable_nodes\":null,\"placement\":{}",
             bench->order->sha256, load_ns);
  voice_say(pump->voice);
}

/* Writes a level to the file that moves the pin, where one was named. */
static void move_pin(Pump *pump, const char *level) {
  const char *path = pump->bench->order->pin;
  if (!*path) return;
  if (pump->pin < 0) pump->pin = open(path, O_WRONLY | O_CLOEXEC);
  if (pump->pin < 0 || write(pump->pin, level, 1) < 0)
    end_trial("failed",
              "The pin cannot be moved: %s: %s. Export it, set its direction to out, and let this "
              "user write to it; or leave --pin out.",
              strerror(errno), path);
}

void pump_mark(Pump *pump, const char *phase, const Marks *marks, int64_t start_ns) {
  int64_t *rises = allocate(2 * marks->count * sizeof *rises), *falls = rises + marks->count;
  pump_enter(pump, phase);
  for (size_t i = 0; i < marks->count; i++) {
    wait_until(start_ns + marks->rises[i]);
    rises[i] = now_ns();
    move_pin(pump, "1");
    while (now_ns() < start_ns + marks->falls[i]) {
    }
    move_pin(pump, "0");
    falls[i] = now_ns();
  }
  wait_until(start_ns + marks->until);
  Text *event = voice_event(pump->voice, "PulsesMade");
  text_print(event, ",\"phase\":\"%s\"", phase);
  text_list(event, "rises_ns", rises, marks->count);
  text_list(event, "falls_ns", falls, marks->count);
  voice_say(pump->voice);
  free(rises);
}

/* Fills the columns until they hold `rows` or a query completes at `stop_ns` or later. */
static size_t back_to_back(Bench *bench, int64_t stop_ns, size_t rows, const Times *times) {
  size_t row = 0;
  for (;;) {
    size_t query = bench_next(bench);
    int64_t start = now_ns();
    bench_call(bench, query);
    int64_t end = now_ns();
    times->issued[row] = start;
    times->completed[row] = end;
    if (++row == rows || end >= stop_ns) return row;
  }
}

Burst pump_burst(Pump *pump, const char *phase, int64_t queries, int64_t until_ns) {
  const Block block = {.samples_per_query = pump->bench->order->samples_per_query};
  if (strcmp(pump->phase, phase)) {
    pump_enter(pump, phase);
    bench_begin(pump->bench, !strcmp(phase, "measured"));
  }
  int64_t begun_ns = now_ns(), last_ns = begun_ns, done = 0;
  while (done < queries || last_ns < until_ns) {
    int64_t stop_ns = last_ns + BLOCK_NS;
    size_t rows = BLOCK_ROWS;
    if (done >= queries) {
      if (until_ns < stop_ns) stop_ns = until_ns;
    } else if (last_ns >= until_ns && queries - done < (int64_t)rows) {
      rows = (size_t)(queries - done);
    }
    size_t count = back_to_back(pump->bench, stop_ns, rows, &pump->times);
    done += (int64_t)count;
    last_ns = pump->times.completed[count - 1];
    hand_on(pump, &block, pump->times.issued, &pump->times, count);
  }
  return (Burst){.queries = done, .elapsed_ns = last_ns - begun_ns};
}

int64_t pump_replay(Pump *pump, Replay *replay) {
  const Block block = {.samples_per_query = pump->bench->order->samples_per_query,
                       .segment = replay->segment,
                       .rate_hz = replay->rate_hz};
  if (strcmp(pump->phase, "measured")) {
    pump_enter(pump, "measured");
    bench_begin(pump->bench, true);
  }
  Times times = {.issued = allocate(replay->count * sizeof(int64_t)),
                 .completed = allocate(replay->count * sizeof(int64_t))};
  int64_t origin_ns = replay->origin_ns < 0 ? now_ns() + LEAD_NS : replay->origin_ns, late = 0;
  int64_t *due = replay->offsets;
  for (size_t i = 0; i < replay->count; i++) due[i] += origin_ns;
  for (size_t row = 0, first = 0; row < replay->count;) {
    int64_t pause_from_ns = now_ns() + BLOCK_NS;
    bool is_given_up = false;
    for (;;) {
      size_t query = bench_next(pump->bench);
      wait_until(due[row]);
      int64_t start = now_ns();
      bench_call(pump->bench, query);
      int64_t end = now_ns();
      times.issued[row] = start;
      times.completed[row] = end;
      late += replay->bound_ns >= 0 && end - due[row] > replay->bound_ns;
      is_given_up = replay->allowed_late >= 0 && late > replay->allowed_late;
      if (++row == replay->count || is_given_up) break;
      if (end >= pause_from_ns && due[row] - end >= SLACK_NS) break;
    }
    Times part = {times.issued + first, times.completed + first};
    hand_on(pump, &block, due + first, &part, row - first);
    first = row;
    if (is_given_up) break;
  }
  free(times.issued);
  free(times.completed);
  return late;
}
