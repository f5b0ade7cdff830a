/* A model ready to be timed: inputs bound once, gone round in a seeded order, and a look
   taken at some outputs between two queries (harness/agent/workbench.py, outputs.py). */
#ifndef DUANPING_BENCH_H
#define DUANPING_BENCH_H

#include "order.h"
#include "sha256.h"

typedef struct Outputs { /* of a session, shared by all its queries */
  size_t count;
  Value **values;
  Tensor *tensors; /* as of the last call */
  bool *is_ours;   /* else onnxruntime allocates it in each call */
} Outputs;

typedef struct Bound { /* inputs of one call */
  Value **inputs;
  Tensor *tensors;
} Bound;

typedef struct Kept {
  size_t query;
  Tensor *outputs, *states;
  int64_t looks, changed;
} Kept;

typedef struct Bench {
  const Order *order;
  int tensors; /* the file of them */
  unsigned char *model;
  size_t model_size;
  Session session;
  const char **names;
  Bound *bound; /* sets × calls */
  Outputs outputs;
  Tensor *states; /* one buffer of every state; data NULL of what is none */
  bool has_states;

  bool is_watched;
  size_t turn, look; /* places in the rota and in the looks */
  bool is_pending;   /* a query has been executed and not been looked at */
  size_t pending;
  Tensor *fed; /* states that it started from */
  int64_t owed, samples_per_call;
  Kept *kept;
  size_t kept_count, kept_room;
  size_t output_bytes;
} Bench;

/* Opens the file of tensors and reads the inputs of every query. */
void bench_prepare(Bench *bench, const Order *order);
/* Reads the model, holds it against its digest and has it ready. */
void bench_load(Bench *bench);
void bench_bind(Bench *bench);
void bench_begin(Bench *bench, bool is_watched);
/* Has what came of the last query looked at and gives the next one. */
size_t bench_next(Bench *bench);
void bench_call(Bench *bench, size_t query);
void bench_settle(Bench *bench);
void bench_dispose(Bench *bench);

/* The numbers of samples that are in the last call of a query. */
const Json *bench_samples(const Bench *bench, size_t query);

void model_read(const Order *order, unsigned char **data, size_t *size);
void model_open(const Order *order, const unsigned char *data, size_t size, const char *optimised,
                Session *session);

/* Reads inputs from a place in the file. */
Tensor *tensors_at(const Bench *bench, size_t at, bool is_sample);
Bound bound_to(const Order *order, Tensor *tensors, const Tensor *states);
void bound_free(const Order *order, Bound *bound);
void tensors_free(Tensor *tensors, size_t count);

Outputs outputs_for(const Session *session, const char *const *names, const Tensor *inputs,
                    size_t count);
void outputs_forget(Outputs *outputs); /* what onnxruntime has allocated in the last call */
const Tensor *outputs_read(Outputs *outputs);
void outputs_free(Outputs *outputs);

/* Executes once, untimed, with outputs that onnxruntime allocates. */
Outputs computed(const Bench *bench, const Tensor *inputs, const Tensor *states);

bool outputs_agree(const Tensor *one, const Tensor *other, size_t count);
bool is_same_form(const Tensor *one, const Tensor *other); /* type and shape */
bool outputs_finite(const Tensor *outputs, size_t count);
Tensor *tensors_copied(const Tensor *tensors, size_t count);

typedef struct Checked {
  int64_t compared, differing, non_finite;
  char sha256[SHA256_HEX];
} Checked;

/* Keeps or compares the outputs of the query that is pending, if a look is owed. */
void bench_look(Bench *bench);
Checked bench_conclude(Bench *bench, const Tensor *first);

#endif
