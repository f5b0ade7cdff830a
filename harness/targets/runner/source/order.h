/* The one thing that an agent is told (harness/loadgen/wire.py), and beside it what
   the host has drawn from the seeds (harness/loadgen/prepared.py). */
#ifndef DUANPING_ORDER_H
#define DUANPING_ORDER_H

#include "json.h"
#include "ort.h"

typedef struct Form { /* of one input */
  const char *name;
  Tensor call;   /* as a call takes it */
  Tensor sample; /* as a single sample */
  int follows;   /* number of the output that is its next value; -1: it is no state */
} Form;

typedef struct Marks { /* pulses, counted from where the mark begins */
  int64_t *rises, *falls;
  size_t count;
  int64_t until;
} Marks;

typedef struct Order {
  JsonDocument document;
  char *line;
  const char *task, *trial, *scenario, *source;
  const Json *scenario_fields;
  const char *model_path, *sha256, *runtime, *provider, *optimisation, *pin;
  const Json *external, *labelled;
  int64_t warm_queries, warm_ns, queries, window_ns, baseline_ns, spawned_ns, run;
  int intra_op_threads, inter_op_threads;
  bool is_scored, is_decoder, is_pipeline;

  const Json *prepared; /* NULL: nothing was prepared */
  const char *tensors_path;
  Form *inputs;
  size_t input_count;
  size_t sets;  /* distinct queries */
  size_t calls; /* of each */
  int64_t samples_per_query;
  const Json *samples; /* numbers of those in the last call, query by query */
  int64_t *rota;       /* the seeded order of queries */
  size_t rota_size;
  const char *looks; /* '1' for each query that is looked at, of a round of them */
  size_t looks_size;
  size_t fresh;     /* samples that no query has had */
  int64_t *answers; /* numbers of the samples that are answered afterwards */
  size_t answer_count;
  Marks preamble, postamble;
} Order;

/* Reads an order; false with `why` for what is none. */
bool order_read(Order *order, const char *line, size_t size, const char **why);

size_t order_call_bytes(const Order *order);   /* of all inputs of a call */
size_t order_sample_bytes(const Order *order); /* of all inputs of a sample */
/* Where the tensors of these begin in the file. */
size_t order_query_at(const Order *order, size_t query, size_t call);
size_t order_first_at(const Order *order);
size_t order_fresh_at(const Order *order, size_t number);
size_t order_answer_at(const Order *order, size_t number);

/* Decodes {"array": "q", "base64": …}; NULL for anything else. */
int64_t *order_integers(const Json *value, size_t *count);

#endif
