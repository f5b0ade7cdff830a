#include "server.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "text.h"

enum { LAYERS = 256 };
static const double CONFIDENCE = 0.99; /* MLPerf Inference rules, early stopping */
static const double FIRST_SHARE = 0.7, UP = 1.5, DOWN = 0.5, HOPELESS_SHARE = 1.0 / 64.0;

static bool read_hex(const Json *value, uint64_t *high, uint64_t *low) {
  const char *text = json_text(value);
  char half[17] = {0};
  if (!text || strlen(text) != 32 || strspn(text, "0123456789abcdef") != 32) return false;
  memcpy(half, text, 16);
  *high = strtoull(half, NULL, 16);
  *low = strtoull(text + 16, NULL, 16);
  return true;
}

static const void *table(const Json *value, const char *code) {
  size_t size = 0;
  unsigned char *data = json_base64(json_member(value, "base64"), &size);
  return data && json_is(json_member(value, "array"), code) && size == 8 * LAYERS ? data : NULL;
}

bool server_read(const Order *order, Server *server) {
  const Json *arrival = json_member(order->prepared, "arrivals");
  const Json *generators = json_member(arrival, "generators");
  *server = (Server){
      .bound_ns = json_integer(json_member(order->scenario_fields, "latency_bound_ns"), -1),
      .percentile = json_real(json_member(order->scenario_fields, "percentile"), -1),
      .tolerance = json_real(json_member(order->scenario_fields, "rate_tolerance"), -1),
      .needed_queries = json_integer(json_member(arrival, "needed_queries"), -1),
      .probes = (int)json_count(generators),
      .ziggurat = {.bounds = table(json_member(arrival, "bounds"), "q"),
                   .widths = table(json_member(arrival, "widths"), "d"),
                   .heights = table(json_member(arrival, "heights"), "d")},
  };
  server->generators = allocate((size_t)server->probes * sizeof *server->generators);
  Pcg *pcg = server->generators;
  for (const Json *one = generators ? generators->first : NULL; one; one = one->next, pcg++)
    if (json_count(one) != 2 || !read_hex(one->first, &pcg->high, &pcg->low) ||
        !read_hex(one->first->next, &pcg->step_high, &pcg->step_low))
      return false;
  const Ziggurat *tables = &server->ziggurat;
  return server->probes > 0 && server->bound_ns > 0 && server->percentile > 0 &&
         server->percentile < 1 && server->tolerance > 0 && server->needed_queries > 0 &&
         tables->bounds && tables->widths && tables->heights;
}

static uint64_t next_bits(Pcg *pcg) {
  static const uint64_t high = 0x2360ed051fc65da4, low = 0x4385df649fccf645;
  /* 128 bits by halves, since a machine of 32 bits has no such type */
  uint64_t a = pcg->low >> 32, b = pcg->low & UINT32_MAX, c = low >> 32, d = low & UINT32_MAX;
  uint64_t bd = b * d, middle = a * d + (bd >> 32), other = b * c + (middle & UINT32_MAX);
  uint64_t carried = a * c + (middle >> 32) + (other >> 32);
  uint64_t top = carried + pcg->low * high + pcg->high * low;
  uint64_t bottom = other << 32 | (bd & UINT32_MAX);
  pcg->low = bottom + pcg->step_low;
  pcg->high = top + pcg->step_high + (pcg->low < bottom);
  uint64_t mixed = pcg->high ^ pcg->low;
  unsigned turn = (unsigned)(pcg->high >> 58);
  return turn ? mixed >> turn | mixed << (64 - turn) : mixed;
}

static double next_real(Pcg *pcg) { return (double)(next_bits(pcg) >> 11) * 0x1p-53; }

/* Draws from the exponential distribution of mean 1, as numpy's Generator does. */
static double exponential(Pcg *pcg, const Ziggurat *tables) {
  double tail = tables->widths[LAYERS - 1] * 0x1p53;
  for (;;) {
    uint64_t bits = next_bits(pcg) >> 3;
    int layer = bits & (LAYERS - 1);
    int64_t place = (int64_t)(bits >> 8);
    double x = (double)place * tables->widths[layer];
    if (place < tables->bounds[layer]) return x;
    if (!layer) return tail - log1p(-next_real(pcg));
    double below = tables->heights[layer], above = tables->heights[layer - 1];
    if ((above - below) * next_real(pcg) + below < exp(-x)) return x;
  }
}

int64_t *arrivals(double rate_hz, int64_t queries, int64_t duration_ns, Pcg generator,
                  const Ziggurat *ziggurat, size_t *count) {
  double scale = (double)NS_PER_S / rate_hz;
  double expected = fmax((double)queries, rate_hz * (double)duration_ns / (double)NS_PER_S);
  size_t per_draw = (size_t)nearbyint(expected * 1.1) + 64, size = 0;
  double *offsets = NULL;
  while ((int64_t)size < queries || !size || offsets[size - 1] < (double)duration_ns) {
    offsets = enlarge(offsets, (size + per_draw) * sizeof *offsets);
    double last = size ? offsets[size - 1] : 0.0, sum = 0.0;
    for (size_t i = 0; i < per_draw; i++) {
      sum += exponential(&generator, ziggurat) * scale;
      offsets[size++] = last + sum;
    }
  }
  size_t enough = 0;
  while (enough < size && offsets[enough] < (double)duration_ns) enough++;
  *count = ++enough > (size_t)queries ? enough : (size_t)queries;
  int64_t *instants = allocate(*count * sizeof *instants);
  for (size_t i = 0; i < *count; i++) instants[i] = (int64_t)nearbyint(offsets[i]);
  free(offsets);
  return instants;
}

/* Binomial probability of exactly `late` late ones, by logarithms. */
static double probability(double late, double queries, double percentile) {
  double ways = lgamma(queries + 1) - lgamma(late + 1) - lgamma(queries - late + 1);
  return exp(ways + late * log(1.0 - percentile) + (queries - late) * log(percentile));
}

int64_t allowed_late(int64_t queries, double percentile) {
  double tail = 0;
  for (int64_t late = 0; late <= queries; late++) {
    tail += probability((double)late, (double)queries, percentile);
    if (tail > 1.0 - CONFIDENCE) return late - 1;
  }
  return queries;
}

Search search_begin(double back_to_back_hz, double tolerance) {
  return (Search){.rate_hz = back_to_back_hz * FIRST_SHARE,
                  .tolerance = tolerance,
                  .floor_hz = back_to_back_hz * HOPELESS_SHARE};
}

bool search_is_over(const Search *search, const Server *server) {
  if (search->probe >= server->probes) return true;
  if (search->kept_hz <= 0) return search->rate_hz < search->floor_hz;
  return search->missed_hz > 0 && search->missed_hz / search->kept_hz - 1.0 <= search->tolerance;
}

void search_take(Search *search, bool is_kept) {
  if (is_kept) search->kept_hz = search->rate_hz;
  else search->missed_hz = search->rate_hz;
  search->probe++;
  if (search->kept_hz <= 0) search->rate_hz = search->missed_hz * DOWN;
  else if (search->missed_hz <= 0) search->rate_hz = search->kept_hz * UP;
  else search->rate_hz = sqrt(search->kept_hz * search->missed_hz);
}
