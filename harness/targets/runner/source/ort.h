/* onnxruntime through its C interface, loaded at run time; none of its headers. */
#ifndef DUANPING_ORT_H
#define DUANPING_ORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

enum { MOST_RANK = 16 };

typedef struct Tensor {
  int type; /* ONNX's number of the element type */
  int rank;
  int64_t shape[MOST_RANK];
  size_t bytes;
  void *data;
} Tensor;

typedef struct Value Value; /* OrtValue */

typedef struct Settings {
  int level; /* of graph optimisation: see optimisation_level */
  int intra_op_threads, inter_op_threads;
  const char *folder;    /* in which external data lie */
  const char *optimised; /* where the optimised model is written; NULL: nowhere */
  bool is_placement_recorded;
} Settings;

/* An input or an output as the model declares it. */
typedef struct Declared {
  char *name;
  int type, rank;           /* type 0: no tensor */
  int64_t shape[MOST_RANK]; /* -1: open, and called `symbols` where it has a name */
  char symbols[MOST_RANK][64];
} Declared;

typedef struct Session {
  void *session;          /* OrtSession */
  size_t inputs, outputs; /* outputs that are tensors of numbers, and no others */
  Declared *declared_inputs, *declared_outputs;
  const char **output_names;
} Session;

/* Called with what onnxruntime says where something fails; must not return. */
extern void (*ort_failed)(const char *said);

/* Loads the library. False where it is not to be had, with the reason in `why`. */
bool ort_open(const char *path, Text *why);
const char *ort_version(void);
const char *ort_build(void);
void ort_providers(Text *into); /* names, a comma between them */
bool ort_has_provider(const char *name);

/* onnxruntime's number of an optimisation level; -1: it has none of that name. */
int optimisation_level(const char *name);

/* Loads a model; false where onnxruntime refuses it, with the reason in `why`. */
bool session_open(Session *session, const void *model, size_t size, const Settings *settings,
                  Text *why);
void session_close(Session *session);
/* Fills in an output's shape for inputs of these names and shapes; false where only a
   call tells it. */
bool session_shape(const Session *session, size_t output, const char *const *names,
                   const Tensor *inputs, size_t count, Tensor *into);
void session_placement(const Session *session, Text *into); /* {"provider": nodes, …} */

/* A value over memory of ours, which must outlive it. */
Value *value_over(const Tensor *tensor);
void value_free(Value *value);
/* What a value holds; the data stay the value's. */
Tensor value_tensor(const Value *value);

/* Executes the model; outputs that are NULL are allocated. */
void session_run(const Session *session, const char *const *names, Value *const *inputs,
                 size_t count, Value **outputs);

/* numpy's name of an element type and the bytes of an element; NULL: no number. */
const char *type_name(int type);
int type_named(const char *name); /* 0: none */
size_t type_size(int type);
size_t shape_bytes(int type, int rank, const int64_t *shape);

#endif
