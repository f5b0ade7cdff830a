#include "order.h"

#include <stdlib.h>
#include <string.h>

static bool read_shape(const Json *value, int type, Tensor *into) {
  *into = (Tensor){.type = type};
  if (!value || value->kind != JSON_ARRAY) return false;
  uint64_t bytes = type_size(type);
  for (const Json *size = value->first; size; size = size->next) {
    if (into->rank == MOST_RANK) return false;
    int64_t found = into->shape[into->rank++] = json_integer(size, -1);
    if (found < 0 || found > INT32_MAX) return false;
    bytes *= (uint64_t)found;
    if (bytes > INT32_MAX) return false;
  }
  into->bytes = shape_bytes(type, into->rank, into->shape);
  return true;
}

static bool read_inputs(Order *order, const Json *list) {
  order->input_count = json_count(list);
  order->inputs = allocate(order->input_count * sizeof *order->inputs);
  Form *form = order->inputs;
  for (const Json *one = list ? list->first : NULL; one; one = one->next, form++) {
    const char *dtype = json_text(json_member(one, "dtype"));
    int type = dtype ? type_named(dtype) : 0;
    form->name = json_text(json_member(one, "name"));
    form->follows = (int)json_integer(json_member(one, "follows"), -1);
    if (!form->name || !type || !read_shape(json_member(one, "shape"), type, &form->call) ||
        !read_shape(json_member(one, "sample_shape"), type, &form->sample))
      return false;
  }
  return order->input_count > 0;
}

int64_t *order_integers(const Json *value, size_t *count) {
  size_t size = 0;
  unsigned char *data = json_base64(json_member(value, "base64"), &size);
  if (!data || !json_is(json_member(value, "array"), "q") || size % 8) {
    free(data);
    return NULL;
  }
  *count = size / 8;
  return (int64_t *)data; /* little-endian, as every machine that this is built for */
}

static bool read_marks(const Json *value, Marks *into) {
  if (!value || value->kind == JSON_NULL) return true;
  size_t falls = 0;
  into->rises = order_integers(json_member(value, "rises_ns"), &into->count);
  into->falls = order_integers(json_member(value, "falls_ns"), &falls);
  into->until = json_integer(json_member(value, "until_ns"), -1);
  return into->rises && into->falls && into->count == falls && into->until >= 0;
}

static bool is_rota(const Order *order) {
  for (size_t i = 0; i < order->rota_size; i++)
    if (order->rota[i] < 0 || (uint64_t)order->rota[i] >= order->sets) return false;
  return order->rota_size > 0;
}

static bool read_prepared(Order *order, const char **why) {
  const Json *prepared = order->prepared;
  *why = "what was prepared for it cannot be read";
  order->tensors_path = json_text(json_member(prepared, "tensors_path"));
  int64_t sets = json_integer(json_member(prepared, "queries"), 0);
  int64_t calls = json_integer(json_member(prepared, "calls"), 0);
  int64_t fresh = json_integer(json_member(prepared, "fresh"), -1);
  order->samples = json_member(prepared, "samples");
  order->samples_per_query = json_integer(json_member(prepared, "samples_per_query"), 0);
  if (!order->tensors_path || sets < 1 || sets > 4096 || calls < 1 || calls > 65536 || fresh < 0 ||
      fresh > 65536 || order->samples_per_query < 1 || json_count(order->samples) != (size_t)sets)
    return false;
  order->sets = (size_t)sets;
  order->calls = (size_t)calls;
  order->fresh = (size_t)fresh;
  if (!read_inputs(order, json_member(prepared, "inputs"))) return false;
  order->rota = order_integers(json_member(prepared, "order"), &order->rota_size);
  order->looks = json_text(json_member(prepared, "looks"));
  order->looks_size = order->looks ? strlen(order->looks) : 0;
  if (!order->rota || !is_rota(order) || !order->looks_size) return false;
  order->answers = order_integers(json_member(prepared, "answers"), &order->answer_count);
  return order->answers && read_marks(json_member(prepared, "preamble"), &order->preamble) &&
         read_marks(json_member(prepared, "postamble"), &order->postamble);
}

static bool read_trial(Order *order, const Json *trial) {
  const Json *warm_up = json_member(trial, "warm_up"), *minimum = json_member(trial, "minimum");
  const Json *settings = json_member(trial, "settings"), *pulses = json_member(trial, "pulses");
  order->trial = json_text(json_member(trial, "id"));
  order->scenario_fields = json_member(trial, "scenario");
  order->scenario = json_text(json_member(order->scenario_fields, "kind"));
  order->run = json_integer(json_member(trial, "run"), 0);
  order->warm_queries = json_integer(json_member(warm_up, "queries"), -1);
  order->warm_ns = json_integer(json_member(warm_up, "duration_ns"), -1);
  order->queries = json_integer(json_member(minimum, "queries"), -1);
  order->window_ns = json_integer(json_member(minimum, "duration_ns"), -1);
  order->baseline_ns = json_integer(json_member(trial, "baseline_ns"), -1);
  order->provider = json_text(json_member(settings, "provider"));
  order->optimisation = json_text(json_member(settings, "optimisation"));
  order->intra_op_threads = (int)json_integer(json_member(settings, "intra_op_threads"), 0);
  order->inter_op_threads = (int)json_integer(json_member(settings, "inter_op_threads"), 0);
  const Json *scored = json_member(trial, "is_scored");
  order->is_scored = scored && scored->kind == JSON_TRUE;
  const char *pin = json_text(json_member(pulses, "pin"));
  order->pin = pin ? pin : "";
  return order->trial && order->scenario && order->provider && order->optimisation &&
         order->warm_queries >= 0 && order->warm_ns >= 0 && order->queries >= 1 &&
         order->window_ns >= 0 && order->baseline_ns >= 0 && order->intra_op_threads > 0 &&
         order->inter_op_threads > 0;
}

bool order_read(Order *order, const char *line, size_t size, const char **why) {
  *order = (Order){0};
  order->line = allocate(size + 1);
  memcpy(order->line, line, size);
  if (!json_parse(&order->document, order->line, size, why)) return false;
  const Json *root = order->document.root;
  *why = "a field that is needed is missing or wrong";
  order->task = json_text(json_member(root, "task"));
  order->model_path = json_text(json_member(root, "model_path"));
  order->sha256 = json_text(json_member(root, "sha256"));
  order->runtime = json_text(json_member(root, "runtime"));
  order->source = json_text(json_member(root, "source"));
  order->external = json_member(root, "external");
  order->labelled = json_member(root, "labelled");
  order->spawned_ns = json_integer(json_member(root, "spawned_ns"), 0);
  order->is_pipeline = json_count(json_member(root, "stages")) > 0;
  const Json *decoder = json_member(root, "decoder");
  order->is_decoder = decoder && decoder->kind != JSON_NULL;
  if (!order->task || !order->model_path || !order->sha256 || !order->runtime || !order->source ||
      !read_trial(order, json_member(root, "trial")))
    return false;
  const Json *prepared = json_member(root, "prepared");
  if (!prepared || prepared->kind == JSON_NULL) return true;
  order->prepared = prepared;
  return read_prepared(order, why);
}

size_t order_call_bytes(const Order *order) {
  size_t bytes = 0;
  for (size_t i = 0; i < order->input_count; i++) bytes += order->inputs[i].call.bytes;
  return bytes;
}

size_t order_sample_bytes(const Order *order) {
  size_t bytes = 0;
  for (size_t i = 0; i < order->input_count; i++) bytes += order->inputs[i].sample.bytes;
  return bytes;
}

size_t order_query_at(const Order *order, size_t query, size_t call) {
  return (query * order->calls + call) * order_call_bytes(order);
}

size_t order_first_at(const Order *order) { return order_query_at(order, order->sets, 0); }

size_t order_fresh_at(const Order *order, size_t number) {
  return order_first_at(order) + (1 + number) * order_sample_bytes(order);
}

size_t order_answer_at(const Order *order, size_t number) {
  return order_fresh_at(order, order->fresh) + number * order_sample_bytes(order);
}
