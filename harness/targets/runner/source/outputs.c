/* Outputs of timed queries against the same inputs computed again, untimed. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static const double RELATIVE_TOLERANCE = 1e-4; /* of the largest magnitude in the tensor */
enum { KEPT_BYTES = 16 << 20, KEPT_AT_LEAST = 2, FLOAT32 = 1, FLOAT16 = 10, FLOAT64 = 11 };

static bool is_real(int type) { return type == FLOAT32 || type == FLOAT16 || type == FLOAT64; }

static double half(uint16_t bits) {
  int exponent = bits >> 10 & 31, fraction = bits & 1023;
  double size = exponent == 31  ? (fraction ? NAN : INFINITY)
                : exponent == 0 ? ldexp(fraction, -24)
                                : ldexp(1024 + fraction, exponent - 25);
  return bits >> 15 ? -size : size;
}

static double real_at(const Tensor *tensor, size_t i) {
  switch (tensor->type) {
    case FLOAT32:
      return ((const float *)tensor->data)[i];
    case FLOAT64:
      return ((const double *)tensor->data)[i];
    default:
      return half(((const uint16_t *)tensor->data)[i]);
  }
}

static size_t elements(const Tensor *tensor) { return tensor->bytes / type_size(tensor->type); }

bool outputs_finite(const Tensor *outputs, size_t count) {
  for (size_t t = 0; t < count; t++)
    for (size_t i = 0; is_real(outputs[t].type) && i < elements(&outputs[t]); i++)
      if (!isfinite(real_at(&outputs[t], i))) return false;
  return true;
}

static bool reals_agree(const Tensor *one, const Tensor *other) {
  double scale = 0;
  size_t count = elements(one);
  for (size_t i = 0; i < count; i++) {
    double size = fabs(real_at(one, i));
    if (isfinite(size) && size > scale) scale = size;
  }
  for (size_t i = 0; i < count; i++) {
    double a = real_at(one, i), b = real_at(other, i);
    bool is_close = a == b || (isnan(a) && isnan(b)) ||
                    (isfinite(a) && isfinite(b) && fabs(a - b) <= RELATIVE_TOLERANCE * scale);
    if (!is_close) return false;
  }
  return true;
}

bool is_same_form(const Tensor *one, const Tensor *other) {
  size_t bytes = (size_t)one->rank * sizeof *one->shape;
  return one->type == other->type && one->rank == other->rank &&
         !memcmp(one->shape, other->shape, bytes);
}

static bool tensors_agree(const Tensor *one, const Tensor *other) {
  if (!is_same_form(one, other)) return false;
  if (!memcmp(one->data, other->data, one->bytes)) return true;
  return is_real(one->type) && reals_agree(one, other);
}

bool outputs_agree(const Tensor *one, const Tensor *other, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (!tensors_agree(&one[i], &other[i])) return false;
  return true;
}

static Kept *kept_of(Bench *bench, size_t query) {
  for (size_t i = 0; i < bench->kept_count; i++)
    if (bench->kept[i].query == query) return &bench->kept[i];
  return NULL;
}

static bool has_room(const Bench *bench, const Tensor *outputs) {
  size_t size = 0;
  for (size_t i = 0; i < bench->outputs.count; i++) size += outputs[i].bytes;
  return bench->kept_count < KEPT_AT_LEAST || size * (bench->kept_count + 1) <= KEPT_BYTES;
}

void bench_look(Bench *bench) {
  if (!bench->owed) return;
  const Tensor *outputs = outputs_read(&bench->outputs);
  /* with states the outputs depend on the queries before: each look is kept */
  Kept *kept = bench->has_states ? NULL : kept_of(bench, bench->pending);
  if (kept) {
    kept->looks++;
    kept->changed += !outputs_agree(kept->outputs, outputs, bench->outputs.count);
  } else if (has_room(bench, outputs)) {
    if (bench->kept_count == bench->kept_room) {
      bench->kept_room = bench->kept_room * 2 + 16;
      bench->kept = enlarge(bench->kept, bench->kept_room * sizeof *bench->kept);
    }
    bench->kept[bench->kept_count++] = (Kept){
        .query = bench->pending,
        .outputs = tensors_copied(outputs, bench->outputs.count),
        .states = bench->fed,
        .looks = 1,
    };
    bench->fed = NULL;
  } else {
    return;
  }
  bench->owed--;
}

Checked bench_conclude(Bench *bench, const Tensor *first) {
  const Order *order = bench->order;
  Checked checked = {0};
  for (size_t i = 0; i < bench->kept_count; i++) {
    Kept *kept = &bench->kept[i];
    const Tensor *inputs = bench->bound[kept->query * order->calls + order->calls - 1].tensors;
    Outputs again = computed(bench, inputs, kept->states);
    bool is_same = outputs_agree(kept->outputs, again.tensors, again.count);
    checked.compared += bench->samples_per_call * kept->looks;
    checked.differing += bench->samples_per_call * (is_same ? kept->changed : kept->looks);
    if (!outputs_finite(kept->outputs, again.count))
      checked.non_finite += bench->samples_per_call * kept->looks;
    outputs_free(&again);
  }
  Sha256 digest;
  sha256_begin(&digest);
  Outputs once = computed(bench, first, NULL);
  for (size_t i = 0; i < once.count; i++)
    sha256_add(&digest, once.tensors[i].data, once.tensors[i].bytes);
  sha256_end(&digest, checked.sha256);
  outputs_free(&once);
  return checked;
}
