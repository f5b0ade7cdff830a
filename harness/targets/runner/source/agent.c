#include "agent.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "after.h"
#include "clock.h"
#include "ending.h"
#include "inspect.h"
#include "lines.h"
#include "scenario.h"

static Voice voice;

void (*before_end)(void);

bool is_memory_short(const char *said) {
  static const char *const signs[] = {"allocate memory", "bad_alloc", "bad allocation",
                                      "out of memory"};
  for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
    if (strcasestr(said, signs[i])) return true;
  return false;
}

static void say_end(const char *outcome, const char *reason) {
  Text *event = voice_event(&voice, "TrialEnded");
  text_print(event, ",\"outcome\":\"%s\",\"queries\":%" PRId64 ",\"reason\":", outcome,
             voice.queries);
  text_word(event, reason);
  voice_say(&voice);
  voice_done(&voice);
}

_Noreturn void end_trial(const char *outcome, const char *format, ...) {
  Text reason = {0};
  va_list list;
  va_start(list, format);
  text_print_list(&reason, format, list);
  va_end(list);
  if (before_end) before_end();
  say_end(outcome, reason.data ? reason.data : "");
  _exit(0);
}

static void fail_for_memory(size_t wanted) {
  static bool is_ending; /* what is said takes memory too */
  if (is_ending) _exit(1);
  is_ending = true;
  end_trial("out_of_memory", "Cannot allocate memory: %zu bytes", wanted);
}

static void fail_in_library(const char *said) {
  end_trial(is_memory_short(said) ? "out_of_memory" : "failed", "onnxruntime failed: %s", said);
}

/* Ends the process when the host lets go, so that nothing runs on for nobody. */
static void *hold_lease(void *unused) {
  char taken[4096];
  while (read(STDIN_FILENO, taken, sizeof taken) > 0) {
  }
  (void)unused;
  _exit(LEASE_ENDED);
}

static void refuse_unknown(const Order *order) {
  if (order->is_decoder) end_trial("refused", "The C runner knows no language models");
  if (order->is_pipeline) end_trial("refused", "The C runner knows no pipelines");
  if (!scenario_is_known(order->scenario))
    end_trial("refused", "The C runner does not know the scenario %s", order->scenario);
  if (strcmp(order->runtime, "harness.runtimes.onnxrt:open_runtime"))
    end_trial("refused", "The C runner knows only onnxruntime, not %s", order->runtime);
}

static void refuse_settings(const Order *order) {
  if (!ort_has_provider(order->provider)) {
    Text names = {0};
    ort_providers(&names);
    end_trial("refused", "This onnxruntime has no %s: onnxruntime %s. Use one of: %s.",
              order->provider, ort_version(), names.data);
  }
  if (strcmp(order->provider, "CPUExecutionProvider"))
    end_trial("refused", "The C runner executes on the processor, not by %s", order->provider);
  if (optimisation_level(order->optimisation) < 0)
    end_trial("refused",
              "onnxruntime has no optimisation level '%s'. Use one of: off, basic, extended, all.",
              order->optimisation);
}

static void identify(void) {
  Text providers = {0};
  ort_providers(&providers);
  voice_note(&voice, "runtime", "onnxruntime");
  voice_note(&voice, "runtime_version", ort_version());
  voice_note(&voice, "runtime_build", ort_build());
  voice_note(&voice, "providers", providers.data);
  voice_note(&voice, "agent", "C runner");
  text_free(&providers);
}

static void afterwards(Bench *bench) {
  const Order *order = bench->order;
  voice_phase(&voice, "afterwards", now_ns());
  bench_settle(bench);
  if (!bench->has_states) answers_of_window(bench, &voice);
  answers_of_session(bench, "session", &voice);
  if (!strcmp(order->scenario, "SingleStream") && order->run == 1) repeats_probe(bench, &voice);
}

static void conclude(Bench *bench, Memory *memory, bool is_start) {
  const Order *order = bench->order;
  memory_after_queries(memory);
  if (!is_start) afterwards(bench);
  bench_settle(bench);
  Tensor *first = tensors_at(bench, order_first_at(order), true);
  Checked checked = bench_conclude(bench, first);
  tensors_free(first, order->input_count);
  bench_dispose(bench);
  memory_after_dispose(memory);
  memory_report(memory, &voice);
  text_print(voice_event(&voice, "OutputsChecked"),
             ",\"compared\":%" PRId64 ",\"differing\":%" PRId64 ",\"non_finite\":%" PRId64
             ",\"sha256\":\"%s\"",
             checked.compared, checked.differing, checked.non_finite, checked.sha256);
  voice_say(&voice);
}

static void measure(const Order *order, bool is_start) {
  Bench bench;
  Pump pump;
  Memory memory = {0};
  if (!is_start) identify();
  bench_prepare(&bench, order);
  if (!is_start) {
    char samples[64];
    snprintf(samples, sizeof samples, "%zu x %" PRId64, order->sets, order->samples_per_query);
    voice_note(&voice, "samples", samples);
    overhead_measure(&bench, &voice);
  }
  pump_open(&pump, &bench, &voice);
  if (is_start) scenario_start(&pump, &memory);
  else scenario_run(&pump, &memory);
  conclude(&bench, &memory, is_start);
}

static void answer(const Order *order) {
  Bench bench;
  bench_prepare(&bench, order);
  bench_load(&bench);
  answers_of_session(&bench, order->source, &voice);
}

/* Nothing beside inferences that there is more of where there are more of them. */
static void count(const Order *order) {
  Bench bench;
  bench_prepare(&bench, order);
  bench_load(&bench);
  bench_bind(&bench);
  bench_begin(&bench, false);
  for (int64_t i = 0; i < order->queries; i++) bench_call(&bench, bench_next(&bench));
  voice.queries = order->queries;
}

static void carry_out(const Order *order) {
  bool is_inspection = !strcmp(order->task, "inspect");
  if (!is_inspection && !order->prepared)
    end_trial("refused", "Nothing was prepared for the C runner");
  if (is_inspection) {
    identify();
    inspect(order, &voice);
  } else if (!strcmp(order->task, "measure")) {
    measure(order, false);
  } else if (!strcmp(order->task, "start")) {
    measure(order, true);
  } else if (!strcmp(order->task, "answer")) {
    answer(order);
  } else if (!strcmp(order->task, "count")) {
    count(order);
  } else {
    end_trial("refused", "The C runner does not know the task %s", order->task);
  }
}

int agent(const char *library) {
  static Order order;
  Text line = {0}, why = {0};
  const char *wrong = "nothing was said";
  int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
  dup2(STDERR_FILENO, STDOUT_FILENO); /* what a library prints is none of our lines */
  if (!read_line(STDIN_FILENO, &line) || !order_read(&order, line.data, line.size, &wrong)) {
    fprintf(stderr, "A line on the link is not an order: %s\n", wrong);
    return NO_ORDER;
  }
  text_free(&line);
  pthread_t lease;
  if (pthread_create(&lease, NULL, hold_lease, NULL)) return NO_ORDER;
  voice_open(&voice, out, order.trial);
  out_of_memory = fail_for_memory;
  ort_failed = fail_in_library;
  char pid[32];
  snprintf(pid, sizeof pid, "%ld", (long)getpid());
  const char *const facts[][2] = {
      {"pid", pid}, {"clock", "monotonic"}, {"agent", "C runner"}, {NULL, NULL}};
  voice_hello(&voice, facts);
  refuse_unknown(&order);
  if (!ort_open(library, &why)) end_trial("refused", "%s", why.data);
  refuse_settings(&order);
  carry_out(&order);
  say_end("done", "");
  _exit(0); /* what libraries do at the end would race with the host's letting go */
}
