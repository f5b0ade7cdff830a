#include "sampler.h"

#include <math.h>

#include "clock.h"
#include "kernel.h"

static const int64_t EVERY_NS = 100 * NS_PER_MS, GIVE_EVERY_NS = 2 * NS_PER_S;
enum { SLOW_EVERY = 10 }; /* heat, clocks and supply change slowly */
enum { RSS, CPU, TEMPERATURE, FREQUENCY, THROTTLE, LOAD, CHARGE, CHARGER };
static const char *const NAMES[CHANNELS][2] = {
    {"rss", "B"},      {"cpu", "ratio"}, {"temperature", "degC"}, {"frequency", "Hz"},
    {"throttle", "1"}, {"load", "1"},    {"charge", "ratio"},     {"charger", "1"}};

void sampler_begin(Sampler *sampler, pid_t pid) {
  int64_t now = now_ns();
  *sampler = (Sampler){.pid = pid, .next_ns = now, .given_ns = now, .seconds = NAN};
}

static void add(Sampler *sampler, int channel, int64_t at_ns, double value) {
  Column *column = &sampler->columns[channel];
  if (isnan(value) || column->count == READINGS_ROOM) return;
  column->times[column->count] = at_ns;
  column->values[column->count++] = value;
}

static void take_slow(Sampler *sampler, int64_t at_ns) {
  add(sampler, TEMPERATURE, at_ns, kernel_temperature());
  add(sampler, FREQUENCY, at_ns, kernel_frequency());
  add(sampler, THROTTLE, at_ns, kernel_throttle());
  add(sampler, LOAD, at_ns, kernel_load());
  add(sampler, CHARGE, at_ns, kernel_charge());
  add(sampler, CHARGER, at_ns, kernel_charger());
}

int64_t sampler_take(Sampler *sampler) {
  int64_t now = now_ns();
  if (now < sampler->next_ns) return sampler->next_ns;
  sampler->next_ns = now + EVERY_NS;
  double resident = process_resident(sampler->pid), seconds = process_seconds(sampler->pid);
  if (isnan(resident) || isnan(seconds)) return sampler->next_ns;
  sampler->peak = fmax(sampler->peak, resident);
  add(sampler, RSS, now, resident);
  if (!isnan(sampler->seconds))
    add(sampler, CPU, now,
        (seconds - sampler->seconds) * (double)NS_PER_S / (double)(now - sampler->seconds_ns));
  sampler->seconds = seconds;
  sampler->seconds_ns = now;
  if (sampler->round++ % SLOW_EVERY == 0) take_slow(sampler, now);
  return sampler->next_ns;
}

bool sampler_is_due(const Sampler *sampler) { return now_ns() - sampler->given_ns > GIVE_EVERY_NS; }

void sampler_give(Sampler *sampler, Voice *voice) {
  sampler->given_ns = now_ns();
  for (int i = 0; i < CHANNELS; i++) {
    Column *column = &sampler->columns[i];
    if (!column->count) continue;
    Text *event = voice_event(voice, "ReadingsTaken");
    text_print(event,
               ",\"block\":{\"channel\":{\"name\":\"%s\",\"unit\":\"%s\",\"source\":\"kernel\","
               "\"rate_hz\":10.0},"
               "\"clock\":\"board\",\"origin\":\"measured\",\"times_ns\":",
               NAMES[i][0], NAMES[i][1]);
    text_array(event, 'q', column->times, column->count);
    text_print(event, ",\"values\":");
    text_array(event, 'd', column->values, column->count);
    text_print(event, "}");
    voice_say(voice);
    column->count = 0;
  }
}
