#include "after.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "ending.h"

enum {
  OVERHEAD_QUERIES = 5000,
  OVERHEAD_WARM_UP = 2000,
  ROUNDS = 8,
  EACH_AT_LEAST = 2,
  EACH_AT_MOST = 16
};
static const int64_t OVERHEAD_NS = 200 * NS_PER_MS, PROBE_NS = 2 * NS_PER_S;

static int by_size(const void *one, const void *other) {
  int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
  return (a > b) - (a < b);
}

/* Sorts, and interpolates between the two nearest, as numpy.quantile does. */
static int64_t quantile(int64_t *values, size_t count, double share) {
  if (!count) return 0;
  qsort(values, count, sizeof *values, by_size);
  double place = (double)(count - 1) * share;
  size_t below = (size_t)place, above = below + 1 < count ? below + 1 : below;
  double part = place - (double)below;
  return (int64_t)nearbyint((double)values[below] + part * (double)(values[above] - values[below]));
}

static size_t time_identity(const Session *session, const Bench *bench, const Bound *bound,
                            Outputs *outputs, size_t rows, int64_t *issued, int64_t *completed) {
  const Order *order = bench->order;
  int64_t until = now_ns() + OVERHEAD_NS;
  for (size_t row = 0;;) {
    const Bound *one = &bound[row % order->sets];
    int64_t start = now_ns();
    session_run(session, bench->names, one->inputs, order->input_count, outputs->values);
    int64_t end = now_ns();
    outputs_forget(outputs);
    issued[row] = start;
    completed[row] = end;
    if (++row == rows || end >= until) return row;
  }
}

void overhead_measure(const Bench *bench, Voice *voice) {
  const Order *order = bench->order;
  size_t size = 0;
  unsigned char *model = json_base64(json_member(order->prepared, "identity"), &size);
  if (!model) end_trial("refused", "The identity model was not prepared");
  Session session;
  model_open(order, model, size, NULL, &session);
  Bound *bound = allocate(order->sets * sizeof *bound);
  for (size_t q = 0; q < order->sets; q++)
    bound[q] = bound_to(order, bench->bound[(q + 1) * order->calls - 1].tensors, NULL);
  Outputs outputs = outputs_for(&session, bench->names, bound[0].tensors, order->input_count);
  int64_t *issued = allocate(2 * OVERHEAD_QUERIES * sizeof *issued),
          *completed = issued + OVERHEAD_QUERIES;
  time_identity(&session, bench, bound, &outputs, OVERHEAD_WARM_UP, issued, completed);
  size_t count =
      time_identity(&session, bench, bound, &outputs, OVERHEAD_QUERIES, issued, completed);
  int64_t *gaps = allocate(count * sizeof *gaps);
  for (size_t i = 1; i < count; i++) gaps[i - 1] = issued[i] - completed[i - 1];
  for (size_t i = 0; i < count; i++) issued[i] = completed[i] - issued[i];
  int64_t half = quantile(issued, count, 0.5), most = quantile(issued, count, 0.9);
  text_print(voice_event(voice, "OverheadMeasured"),
             ",\"queries\":%zu,\"latency_p50_ns\":%" PRId64 ",\"latency_p90_ns\":%" PRId64
             ",\"gap_p50_ns\":%" PRId64,
             count, half, most, quantile(gaps, count - 1, 0.5));
  voice_say(voice);
  for (size_t q = 0; q < order->sets; q++) {
    bound[q].tensors = NULL; /* they are the bench's */
    bound_free(order, &bound[q]);
  }
  free(bound);
  free(gaps);
  free(issued);
  outputs_free(&outputs);
  session_close(&session);
  free(model);
}

/* Says raw outputs of one call, with the numbers of the samples that they are for. */
static void give(Voice *voice, const char *source, const int64_t *numbers, size_t count,
                 const Tensor *outputs, size_t output_count) {
  Text *event = voice_event(voice, "AnswersGiven");
  text_print(event, ",\"source\":\"%s\"", source);
  text_list(event, "numbers", numbers, count);
  text_print(event, ",\"outputs\":[");
  for (size_t i = 0; i < output_count; i++) {
    text_print(event, "%s{\"dtype\":\"%s\"", i ? "," : "", type_name(outputs[i].type));
    text_list(event, "shape", outputs[i].shape, (size_t)outputs[i].rank);
    text_print(event, ",\"base64\":\"");
    text_base64(event, outputs[i].data, outputs[i].bytes);
    text_print(event, "\"}");
  }
  text_add(event, "]", 1);
  voice_say(voice);
}

void answers_of_window(const Bench *bench, Voice *voice) {
  for (size_t i = 0; i < bench->kept_count; i++) {
    const Json *samples = bench_samples(bench, bench->kept[i].query);
    size_t count = json_count(samples), at = 0;
    int64_t *numbers = allocate(count * sizeof *numbers);
    for (const Json *one = samples->first; one; one = one->next)
      numbers[at++] = json_integer(one, 0);
    give(voice, "window", numbers, count, bench->kept[i].outputs, bench->outputs.count);
    free(numbers);
  }
}

void answers_of_session(const Bench *bench, const char *source, Voice *voice) {
  const Order *order = bench->order;
  for (size_t i = 0; i < order->answer_count; i++) {
    Tensor *inputs = tensors_at(bench, order_answer_at(order, i), true);
    Outputs outputs = computed(bench, inputs, NULL);
    give(voice, source, &order->answers[i], 1, outputs.tensors, outputs.count);
    outputs_free(&outputs);
    tensors_free(inputs, order->input_count);
  }
}

typedef struct Probe {
  const Bench *bench;
  Outputs outputs;
  size_t turn, fresh;
} Probe;

static void call(Probe *probe, const Bound *bound) {
  outputs_forget(&probe->outputs);
  session_run(&probe->bench->session, probe->bench->names, bound->inputs,
              probe->bench->order->input_count, probe->outputs.values);
}

static const Bound *of_turn(Probe *probe) {
  const Order *order = probe->bench->order;
  return &probe->bench->bound[(probe->turn++ % order->sets + 1) * order->calls - 1];
}

/* Times all but the first, which finds the caches as another input left them. */
static void time_calls(Probe *probe, const Bound *const *bound, size_t count, int64_t *into) {
  call(probe, bound[0]);
  for (size_t i = 1; i < count; i++) {
    int64_t begun = now_ns();
    call(probe, bound[i]);
    into[i - 1] = now_ns() - begun;
  }
}

void repeats_probe(const Bench *bench, Voice *voice) {
  const Order *order = bench->order;
  int64_t enough = (int64_t)(order->fresh / ROUNDS) - 1;
  if (enough < EACH_AT_LEAST) return; /* not enough unseen inputs */
  Probe probe = {.bench = bench,
                 .outputs = outputs_for(&bench->session, bench->names, bench->bound[0].tensors,
                                        order->input_count)};
  int64_t begun = now_ns();
  call(&probe, of_turn(&probe));
  int64_t took = now_ns() - begun;
  int64_t each = PROBE_NS / (3 * ROUNDS * (took > 1 ? took : 1));
  each = each > EACH_AT_MOST ? EACH_AT_MOST : each < EACH_AT_LEAST ? EACH_AT_LEAST : each;
  if (each > enough) each = enough;
  size_t count = (size_t)each + 1, total = ROUNDS * (size_t)each;
  int64_t *taken = allocate(3 * total * sizeof *taken);
  Bound *unseen = allocate(count * sizeof *unseen);
  const Bound *list[EACH_AT_MOST + 1];
  for (size_t round = 0; round < ROUNDS; round++) {
    for (size_t i = 0; i < count; i++) {
      Tensor *tensors = tensors_at(bench, order_fresh_at(order, probe.fresh++), true);
      unseen[i] = bound_to(order, tensors, NULL);
    }
    for (int kind = 0; kind < 3; kind++) {
      for (size_t i = 0; i < count; i++)
        list[i] = kind == 0   ? &bench->bound[order->calls - 1]
                  : kind == 1 ? of_turn(&probe)
                              : &unseen[i];
      time_calls(&probe, list, count, taken + (size_t)kind * total + round * (size_t)each);
    }
    for (size_t i = 0; i < count; i++) bound_free(order, &unseen[i]);
  }
  Text *event = voice_event(voice, "RepeatsProbed");
  text_print(event, ",\"rounds\":%d", ROUNDS);
  text_list(event, "repeated_ns", taken, total);
  text_list(event, "rotated_ns", taken + total, total);
  text_list(event, "fresh_ns", taken + 2 * total, total);
  voice_say(voice);
  free(unseen);
  free(taken);
  outputs_free(&probe.outputs);
}
