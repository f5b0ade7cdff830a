#include "bench.h"

#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ending.h"

enum { ALIGNMENT = 64 };

static void *aligned(size_t size) {
  void *data = NULL;
  if (posix_memalign(&data, ALIGNMENT, size ? size : 1)) out_of_memory(size);
  return data;
}

Tensor *tensors_at(const Bench *bench, size_t at, bool is_sample) {
  const Order *order = bench->order;
  Tensor *tensors = allocate(order->input_count * sizeof *tensors);
  for (size_t i = 0; i < order->input_count; i++) {
    tensors[i] = is_sample ? order->inputs[i].sample : order->inputs[i].call;
    tensors[i].data = aligned(tensors[i].bytes);
    for (size_t done = 0; done < tensors[i].bytes;) {
      ssize_t size = pread(bench->tensors, (char *)tensors[i].data + done, tensors[i].bytes - done,
                           (off_t)(at + done));
      if (size <= 0)
        end_trial("failed", "The file of inputs cannot be read: %s", order->tensors_path);
      done += (size_t)size;
    }
    at += tensors[i].bytes;
  }
  return tensors;
}

void tensors_free(Tensor *tensors, size_t count) {
  for (size_t i = 0; i < count && tensors; i++) free(tensors[i].data);
  free(tensors);
}

Tensor *tensors_copied(const Tensor *tensors, size_t count) {
  Tensor *copies = allocate(count * sizeof *copies);
  for (size_t i = 0; i < count; i++) {
    copies[i] = tensors[i];
    if (!tensors[i].data) continue;
    copies[i].data = aligned(tensors[i].bytes);
    memcpy(copies[i].data, tensors[i].data, tensors[i].bytes);
  }
  return copies;
}

void bench_prepare(Bench *bench, const Order *order) {
  *bench = (Bench){.order = order};
  bench->tensors = open(order->tensors_path, O_RDONLY | O_CLOEXEC);
  struct stat found;
  if (bench->tensors < 0 || fstat(bench->tensors, &found))
    end_trial("failed", "The file of inputs is not there: %s", order->tensors_path);
  size_t wanted = order_answer_at(order, order->answer_count);
  if ((size_t)found.st_size != wanted)
    end_trial("refused", "The file of inputs has %lld bytes, not %zu: %s", (long long)found.st_size,
              wanted, order->tensors_path);
  bench->bound = allocate(order->sets * order->calls * sizeof *bench->bound);
  for (size_t q = 0; q < order->sets; q++)
    for (size_t c = 0; c < order->calls; c++)
      bench->bound[q * order->calls + c].tensors =
          tensors_at(bench, order_query_at(order, q, c), false);
  bench->names = allocate(order->input_count * sizeof *bench->names);
  bench->states = allocate(order->input_count * sizeof *bench->states);
  for (size_t i = 0; i < order->input_count; i++) {
    bench->names[i] = order->inputs[i].name;
    if (order->inputs[i].follows < 0 || order->calls > 1 || order->samples_per_query > 1) continue;
    bench->states[i] = order->inputs[i].call;
    bench->states[i].data = aligned(bench->states[i].bytes);
    memset(bench->states[i].data, 0, bench->states[i].bytes);
    bench->has_states = true;
  }
  bench->samples_per_call = order->calls == 1 ? order->samples_per_query : 1;
}

static void read_whole(const char *path, unsigned char **data, size_t *size) {
  FILE *file = fopen(path, "rb");
  struct stat found;
  if (!file || fstat(fileno(file), &found))
    end_trial("failed", "The model cannot be read: %s", path);
  *size = (size_t)found.st_size;
  *data = allocate(*size + 1);
  if (fread(*data, 1, *size, file) != *size)
    end_trial("failed", "The model cannot be read: %s", path);
  fclose(file);
}

void model_read(const Order *order, unsigned char **data, size_t *size) {
  Sha256 digest;
  char found[SHA256_HEX];
  Text beside = {0};
  char *path = strdup(order->model_path), *folder = dirname(path);
  read_whole(order->model_path, data, size);
  sha256_begin(&digest);
  sha256_add(&digest, *data, *size);
  for (const Json *one = order->external ? order->external->first : NULL; one; one = one->next) {
    beside.size = 0;
    text_print(&beside, "%s/%s", folder, json_text(one) ? json_text(one) : "");
    if (!sha256_add_file(&digest, beside.data))
      end_trial("failed", "The model cannot be read: %s", beside.data);
  }
  sha256_end(&digest, found);
  if (strcmp(found, order->sha256))
    end_trial("refused",
              "The model that was read has sha256 %.12s…, not %.12s…: %s. The file changed since "
              "the plan was made; plan again.",
              found, order->sha256, order->model_path);
  text_free(&beside);
  free(path);
}

void model_open(const Order *order, const unsigned char *data, size_t size, const char *optimised,
                Session *session) {
  char *path = strdup(order->model_path);
  Settings settings = {
      .level = optimisation_level(order->optimisation),
      .intra_op_threads = order->intra_op_threads,
      .inter_op_threads = order->inter_op_threads,
      .folder = dirname(path),
      .optimised = optimised,
      .is_placement_recorded = optimised != NULL,
  };
  Text why = {0};
  if (!session_open(session, data, size, &settings, &why)) {
    if (is_memory_short(why.data)) end_trial("out_of_memory", "%s", why.data);
    end_trial("refused", "onnxruntime refuses the model: %s", why.data);
  }
  if (!session->outputs) end_trial("refused", "No output of the model is a tensor of numbers");
  text_free(&why);
  free(path);
}

void bench_load(Bench *bench) {
  model_read(bench->order, &bench->model, &bench->model_size);
  model_open(bench->order, bench->model, bench->model_size, NULL, &bench->session);
}

Bound bound_to(const Order *order, Tensor *tensors, const Tensor *states) {
  Bound bound = {.tensors = tensors, .inputs = allocate(order->input_count * sizeof(Value *))};
  for (size_t i = 0; i < order->input_count; i++)
    bound.inputs[i] = value_over(states && states[i].data ? &states[i] : &tensors[i]);
  return bound;
}

void bound_free(const Order *order, Bound *bound) {
  for (size_t i = 0; i < order->input_count && bound->inputs; i++) value_free(bound->inputs[i]);
  free(bound->inputs);
  tensors_free(bound->tensors, order->input_count);
  *bound = (Bound){0};
}

void bench_bind(Bench *bench) {
  const Order *order = bench->order;
  for (size_t i = 0; i < order->sets * order->calls; i++)
    bench->bound[i] = bound_to(order, bench->bound[i].tensors, bench->states);
  bench->outputs =
      outputs_for(&bench->session, bench->names, bench->bound[0].tensors, order->input_count);
}

Outputs outputs_for(const Session *session, const char *const *names, const Tensor *inputs,
                    size_t count) {
  Outputs outputs = {.count = session->outputs};
  outputs.values = allocate(outputs.count * sizeof *outputs.values);
  outputs.tensors = allocate(outputs.count * sizeof *outputs.tensors);
  outputs.is_ours = allocate(outputs.count * sizeof *outputs.is_ours);
  for (size_t i = 0; i < outputs.count && names; i++) {
    Tensor *tensor = &outputs.tensors[i];
    outputs.is_ours[i] = session_shape(session, i, names, inputs, count, tensor);
    if (!outputs.is_ours[i]) continue;
    tensor->data = aligned(tensor->bytes);
    memset(tensor->data, 0, tensor->bytes);
    outputs.values[i] = value_over(tensor);
  }
  return outputs;
}

void outputs_forget(Outputs *outputs) {
  for (size_t i = 0; i < outputs->count; i++) {
    if (outputs->is_ours[i]) continue;
    value_free(outputs->values[i]);
    outputs->values[i] = NULL;
  }
}

const Tensor *outputs_read(Outputs *outputs) {
  for (size_t i = 0; i < outputs->count; i++)
    if (!outputs->is_ours[i]) outputs->tensors[i] = value_tensor(outputs->values[i]);
  return outputs->tensors;
}

void outputs_free(Outputs *outputs) {
  outputs_forget(outputs);
  for (size_t i = 0; i < outputs->count; i++) {
    if (!outputs->is_ours[i]) continue;
    value_free(outputs->values[i]);
    free(outputs->tensors[i].data);
  }
  free(outputs->values);
  free(outputs->tensors);
  free(outputs->is_ours);
  *outputs = (Outputs){0};
}

Outputs computed(const Bench *bench, const Tensor *inputs, const Tensor *states) {
  const Order *order = bench->order;
  Outputs outputs = outputs_for(&bench->session, NULL, NULL, 0);
  Value **values = allocate(order->input_count * sizeof *values);
  for (size_t i = 0; i < order->input_count; i++)
    values[i] = value_over(states && states[i].data ? &states[i] : &inputs[i]);
  session_run(&bench->session, bench->names, values, order->input_count, outputs.values);
  for (size_t i = 0; i < order->input_count; i++) value_free(values[i]);
  free(values);
  outputs_read(&outputs);
  return outputs;
}

void bench_begin(Bench *bench, bool is_watched) {
  bench->is_watched = is_watched;
  bench->turn = bench->look = 0;
  bench->is_pending = false;
}

void bench_call(Bench *bench, size_t query) {
  const Order *order = bench->order;
  for (size_t c = 0; c < order->calls; c++) {
    if (c) outputs_forget(&bench->outputs);
    session_run(&bench->session, bench->names, bench->bound[query * order->calls + c].inputs,
                order->input_count, bench->outputs.values);
  }
}

/* Feeds outputs back; what is not finite starts at zero again. */
static void follow(Bench *bench) {
  const Order *order = bench->order;
  const Tensor *outputs = outputs_read(&bench->outputs);
  for (size_t i = 0; i < order->input_count; i++) {
    Tensor *state = &bench->states[i];
    if (!state->data) continue;
    size_t number = (size_t)order->inputs[i].follows;
    bool is_usable = number < bench->outputs.count && is_same_form(state, &outputs[number]) &&
                     outputs_finite(&outputs[number], 1);
    if (is_usable) memcpy(state->data, outputs[number].data, state->bytes);
    else memset(state->data, 0, state->bytes);
  }
}

void bench_settle(Bench *bench) {
  if (!bench->is_pending) return;
  if (bench->is_watched) bench_look(bench);
  if (bench->has_states) follow(bench);
  outputs_forget(&bench->outputs);
  bench->is_pending = false;
}

size_t bench_next(Bench *bench) {
  const Order *order = bench->order;
  bench_settle(bench);
  bench->pending = (size_t)order->rota[bench->turn];
  if (++bench->turn == order->rota_size) bench->turn = 0;
  if (bench->is_watched) {
    bench->owed += order->looks[bench->look] == '1';
    if (++bench->look == order->looks_size) bench->look = 0;
    if (bench->owed && bench->has_states) {
      tensors_free(bench->fed, order->input_count);
      bench->fed = tensors_copied(bench->states, order->input_count);
    }
  }
  bench->is_pending = true;
  return bench->pending;
}

const Json *bench_samples(const Bench *bench, size_t query) {
  const Json *one = bench->order->samples->first;
  while (query--) one = one->next;
  return one;
}

void bench_dispose(Bench *bench) {
  const Order *order = bench->order;
  for (size_t i = 0; i < order->sets * order->calls; i++) {
    Tensor *tensors = bench->bound[i].tensors;
    bench->bound[i].tensors = NULL;
    bound_free(order, &bench->bound[i]);
    bench->bound[i].tensors = tensors; /* they were there before the model */
  }
  outputs_free(&bench->outputs);
  for (size_t i = 0; i < bench->kept_count; i++) {
    tensors_free(bench->kept[i].outputs, bench->session.outputs);
    tensors_free(bench->kept[i].states, order->input_count);
  }
  free(bench->kept);
  bench->kept = NULL;
  bench->kept_count = 0;
  session_close(&bench->session);
  free(bench->model);
  bench->model = NULL;
}
