#include "scenario.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "ending.h"
#include "server.h"

static const char *const KNOWN[] = {"SingleStream", "MultiStream", "Offline",  "Server",
                                    "Periodic",     "Sustained",   "ColdStart"};

bool scenario_is_known(const char *name) {
  for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++)
    if (!strcmp(KNOWN[i], name)) return true;
  return false;
}

static int64_t of_scenario(const Order *order, const char *field) {
  int64_t found = json_integer(json_member(order->scenario_fields, field), -1);
  if (found < 0) end_trial("refused", "The scenario has no %s", field);
  return found;
}

static void periodic(Pump *pump) {
  const Order *order = pump->bench->order;
  int64_t period_ns = of_scenario(order, "period_ns");
  int64_t fitting = (order->window_ns + period_ns - 1) / period_ns;
  int64_t count = fitting > order->queries ? fitting : order->queries;
  Replay replay = {.count = (size_t)count, .origin_ns = -1, .bound_ns = -1, .allowed_late = -1};
  replay.offsets = allocate(replay.count * sizeof *replay.offsets);
  for (int64_t i = 0; i < count; i++) replay.offsets[i] = i * period_ns;
  pump_replay(pump, &replay);
  free(replay.offsets);
}

static void serve(Pump *pump, const Burst *warmed) {
  const Order *order = pump->bench->order;
  Server server;
  if (!server_read(order, &server))
    end_trial("refused", "The schedule of the server was not prepared");
  double elapsed_ns = (double)(warmed->elapsed_ns > 1 ? warmed->elapsed_ns : 1);
  Search search =
      search_begin((double)warmed->queries * (double)NS_PER_S / elapsed_ns, server.tolerance);
  int64_t queries = order->queries > server.needed_queries ? order->queries : server.needed_queries;
  do {
    Replay replay = {.origin_ns = -1,
                     .segment = search.probe,
                     .rate_hz = search.rate_hz,
                     .bound_ns = server.bound_ns};
    replay.offsets = arrivals(search.rate_hz, queries, order->window_ns,
                              server.generators[search.probe], &server.ziggurat, &replay.count);
    replay.allowed_late = allowed_late((int64_t)replay.count, server.percentile);
    int64_t late = pump_replay(pump, &replay);
    free(replay.offsets);
    search_take(&search, late <= replay.allowed_late);
  } while (!search_is_over(&search, &server));
}

static void measure(Pump *pump, const Burst *warmed) {
  const Order *order = pump->bench->order;
  int64_t window_ns = order->window_ns;
  if (!strcmp(order->scenario, "Server")) {
    serve(pump, warmed);
    return;
  }
  if (!strcmp(order->scenario, "Periodic")) {
    periodic(pump);
    return;
  }
  if (!strcmp(order->scenario, "Sustained")) {
    int64_t asked_ns = of_scenario(order, "duration_ns");
    if (asked_ns > window_ns) window_ns = asked_ns;
  }
  pump_burst(pump, "measured", order->queries, now_ns() + window_ns);
}

static void load(Pump *pump, Memory *memory) {
  memory_before_load(memory);
  pump_load(pump);
  memory_after_load(memory);
}

void scenario_run(Pump *pump, Memory *memory) {
  const Order *order = pump->bench->order;
  bool is_marked = order->preamble.count && order->postamble.count;
  if (order->baseline_ns) pump_idle(pump, "baseline_before", now_ns() + order->baseline_ns);
  if (is_marked) pump_mark(pump, "preamble", &order->preamble, now_ns());
  load(pump, memory);
  Burst warmed = pump_burst(pump, "warm_up", order->warm_queries, now_ns() + order->warm_ns);
  measure(pump, &warmed);
  if (is_marked) {
    /* the last period is in the window, and is let pass */
    int64_t rest_ns = !strcmp(order->scenario, "Periodic") ? of_scenario(order, "period_ns") : 0;
    pump_mark(pump, "postamble", &order->postamble, now_ns() + rest_ns);
  }
  if (order->baseline_ns) pump_idle(pump, "baseline_after", now_ns() + order->baseline_ns);
}

void scenario_start(Pump *pump, Memory *memory) {
  int64_t due = 0;
  Replay replay = {.offsets = &due,
                   .count = 1,
                   .origin_ns = pump->bench->order->spawned_ns,
                   .bound_ns = -1,
                   .allowed_late = -1};
  load(pump, memory);
  pump_replay(pump, &replay);
}
