#include "ort.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Places in OrtApi, a structure that only ever grows at its end; version 17 of it is in
   every onnxruntime since 1.17, and graph assignment since 1.24, below which none is
   taken. */
enum {
  GET_ERROR_MESSAGE = 2,
  CREATE_ENV = 3,
  CREATE_SESSION_FROM_ARRAY = 8,
  RUN = 9,
  CREATE_SESSION_OPTIONS = 10,
  SET_OPTIMIZED_MODEL_FILE_PATH = 11,
  SET_LOG_SEVERITY = 22,
  SET_OPTIMIZATION_LEVEL = 23,
  SET_INTRA_THREADS = 24,
  SET_INTER_THREADS = 25,
  GET_INPUT_COUNT = 30,
  GET_OUTPUT_COUNT = 31,
  GET_INPUT_TYPE_INFO = 33,
  GET_OUTPUT_TYPE_INFO = 34,
  GET_INPUT_NAME = 36,
  GET_OUTPUT_NAME = 37,
  CREATE_RUN_OPTIONS = 39,
  CREATE_TENSOR_WITH_DATA = 49,
  GET_TENSOR_DATA = 51,
  CAST_TO_TENSOR_INFO = 55,
  GET_ELEMENT_TYPE = 60,
  GET_DIMENSIONS_COUNT = 61,
  GET_DIMENSIONS = 62,
  GET_SYMBOLIC_DIMENSIONS = 63,
  GET_TYPE_AND_SHAPE = 65,
  CREATE_CPU_MEMORY_INFO = 69,
  GET_ALLOCATOR = 78,
  RELEASE_STATUS = 93,
  RELEASE_SESSION = 95,
  RELEASE_VALUE = 96,
  RELEASE_TYPE_INFO = 98,
  RELEASE_SHAPE_INFO = 99,
  RELEASE_SESSION_OPTIONS = 100,
  GET_AVAILABLE_PROVIDERS = 125,
  ADD_CONFIG_ENTRY = 130,
  GET_BUILD_INFO = 254,
  GET_GRAPH_ASSIGNMENT = 407,
  SUBGRAPH_EP_NAME = 408,
  SUBGRAPH_NODES = 409,
  API_VERSION = 17,
  ERRORS_ONLY = 3,
  ARENA = 1,
  DEFAULT_MEMORY = 0
};
static const int FLOOR[3] = {1, 24, 1}; /* older ones read any file that a model names */

typedef struct ApiBase {
  const void *const *(*get_api)(uint32_t);
  const char *(*get_version)(void);
} ApiBase;

static const ApiBase *base;
static const void *const *api;
static void *environment, *memory_info, *allocator, *run_options;
static char **providers;
static int provider_count;

void (*ort_failed)(const char *);

#define SLOT(number, type) ((type)(uintptr_t)api[number])
typedef void *(*Ask1)(const void *, void *);
typedef void *(*Ask2)(const void *, size_t, void *);
typedef void *(*SetNumber)(void *, int);
typedef void *(*SetText)(void *, const char *);
typedef void *(*AskName)(const void *, size_t, void *, char **);
typedef void (*Release)(void *);

static const struct {
  const char *name;
  size_t size;
} TYPES[] = {{NULL, 0},      {"float32", 4}, {"uint8", 1},  {"int8", 1},  {"uint16", 2},
             {"int16", 2},   {"int32", 4},   {"int64", 8},  {NULL, 0},    {"bool", 1},
             {"float16", 2}, {"float64", 8}, {"uint32", 4}, {"uint64", 8}};
enum { TYPE_COUNT = sizeof TYPES / sizeof *TYPES };

const char *type_name(int type) { return type > 0 && type < TYPE_COUNT ? TYPES[type].name : NULL; }

size_t type_size(int type) { return type > 0 && type < TYPE_COUNT ? TYPES[type].size : 0; }

int type_named(const char *name) {
  for (int type = 1; type < TYPE_COUNT; type++)
    if (TYPES[type].name && !strcmp(TYPES[type].name, name)) return type;
  return 0;
}

size_t shape_bytes(int type, int rank, const int64_t *shape) {
  size_t bytes = type_size(type);
  for (int i = 0; i < rank; i++) bytes *= (size_t)shape[i];
  return bytes;
}

/* Takes a status: gives what it says, cut to one line, or NULL where all is well. */
static const char *said(void *status) {
  static char reason[401];
  if (!status) return NULL;
  const char *text = SLOT(GET_ERROR_MESSAGE, const char *(*)(const void *))(status);
  size_t size = 0;
  for (; *text && size < sizeof reason - 1; text++) {
    bool is_blank = strchr(" \t\r\n", *text) != NULL;
    if (is_blank && (!size || reason[size - 1] == ' ')) continue;
    reason[size++] = is_blank ? ' ' : *text;
  }
  reason[size] = 0;
  SLOT(RELEASE_STATUS, Release)(status);
  return reason;
}

static void check(void *status) {
  const char *reason = said(status);
  if (reason) ort_failed(reason);
}

static bool is_old(const char *version) {
  int found[3] = {0};
  sscanf(version, "%d.%d.%d", &found[0], &found[1], &found[2]);
  for (int i = 0; i < 3; i++)
    if (found[i] != FLOOR[i]) return found[i] < FLOOR[i];
  return false;
}

bool ort_open(const char *path, Text *why) {
  setenv("ORT_DISABLE_TELEMETRY", "1", 1); /* afterwards is too late */
  setenv("ORT_TELEMETRY_DISABLED", "1", 1);
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    text_print(why, "onnxruntime cannot be loaded: %s", dlerror());
    return false;
  }
  const ApiBase *(*get_base)(void);
  *(void **)&get_base = dlsym(library, "OrtGetApiBase");
  if (!get_base) {
    text_print(why, "%s is no onnxruntime", path);
    return false;
  }
  base = get_base();
  if (is_old(base->get_version())) {
    text_print(why, "onnxruntime %s reads any file that a model names", base->get_version());
    return false;
  }
  api = base->get_api(API_VERSION);
  check(SLOT(CREATE_ENV, void *(*)(int, const char *, void **))(ERRORS_ONLY, "duanping",
                                                                &environment));
  check(SLOT(CREATE_CPU_MEMORY_INFO, void *(*)(int, int, void **))(ARENA, DEFAULT_MEMORY,
                                                                   &memory_info));
  check(SLOT(GET_ALLOCATOR, void *(*)(void **))(&allocator));
  check(SLOT(CREATE_RUN_OPTIONS, void *(*)(void **))(&run_options));
  check(SLOT(GET_AVAILABLE_PROVIDERS, void *(*)(char ***, int *))(&providers, &provider_count));
  return true;
}

const char *ort_version(void) { return base->get_version(); }

const char *ort_build(void) { return SLOT(GET_BUILD_INFO, const char *(*)(void))(); }

void ort_providers(Text *into) {
  for (int i = 0; i < provider_count; i++) text_print(into, "%s%s", i ? ", " : "", providers[i]);
}

bool ort_has_provider(const char *name) {
  for (int i = 0; i < provider_count; i++)
    if (!strcmp(providers[i], name)) return true;
  return false;
}

int optimisation_level(const char *name) {
  static const struct {
    const char *name;
    int level;
  } levels[] = {{"off", 0}, {"basic", 1}, {"extended", 2}, {"all", 99}};
  for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
    if (!strcmp(name, levels[i].name)) return levels[i].level;
  return -1;
}

static void *options_of(const Settings *settings) {
  void *options = NULL;
  check(SLOT(CREATE_SESSION_OPTIONS, void *(*)(void **))(&options));
  check(SLOT(SET_OPTIMIZATION_LEVEL, SetNumber)(options, settings->level));
  check(SLOT(SET_INTRA_THREADS, SetNumber)(options, settings->intra_op_threads));
  check(SLOT(SET_INTER_THREADS, SetNumber)(options, settings->inter_op_threads));
  check(SLOT(SET_LOG_SEVERITY, SetNumber)(options, ERRORS_ONLY));
  const char *entries[][2] = {
      {"session.intra_op.allow_spinning", settings->intra_op_threads > 1 ? "1" : "0"},
      {"session.inter_op.allow_spinning", "0"},
      {"session.model_external_initializers_file_folder_path", settings->folder},
      {"session.record_ep_graph_assignment_info", settings->is_placement_recorded ? "1" : "0"},
  };
  for (size_t i = 0; i < sizeof entries / sizeof *entries; i++)
    check(SLOT(ADD_CONFIG_ENTRY, void *(*)(void *, const char *, const char *))(
        options, entries[i][0], entries[i][1]));
  if (settings->optimised)
    check(SLOT(SET_OPTIMIZED_MODEL_FILE_PATH, SetText)(options, settings->optimised));
  return options;
}

static void read_dimensions(void *info, Declared *into) {
  const char *symbols[MOST_RANK] = {0};
  size_t rank = 0;
  check(SLOT(GET_DIMENSIONS_COUNT, Ask1)(info, &rank));
  into->rank = rank > MOST_RANK ? MOST_RANK : (int)rank;
  size_t count = (size_t)into->rank;
  check(SLOT(GET_DIMENSIONS, void *(*)(const void *, int64_t *, size_t))(info, into->shape, count));
  check(SLOT(GET_SYMBOLIC_DIMENSIONS, void *(*)(const void *, const char **, size_t))(info, symbols,
                                                                                      count));
  for (int i = 0; i < into->rank; i++)
    if (symbols[i]) snprintf(into->symbols[i], sizeof into->symbols[i], "%s", symbols[i]);
}

static Declared declared(void *session, int type_slot, int name_slot, size_t number) {
  Declared found = {0};
  void *type_info = NULL, *info = NULL;
  check(SLOT(name_slot, AskName)(session, number, allocator, &found.name));
  check(SLOT(type_slot, Ask2)(session, number, &type_info));
  check(SLOT(CAST_TO_TENSOR_INFO, Ask1)(type_info, &info));
  if (info) { /* else a map or a sequence */
    check(SLOT(GET_ELEMENT_TYPE, Ask1)(info, &found.type));
    read_dimensions(info, &found);
  }
  SLOT(RELEASE_TYPE_INFO, Release)(type_info);
  return found;
}

static void describe(Session *session) {
  size_t outputs = 0;
  check(SLOT(GET_INPUT_COUNT, Ask1)(session->session, &session->inputs));
  check(SLOT(GET_OUTPUT_COUNT, Ask1)(session->session, &outputs));
  session->declared_inputs = allocate((session->inputs + 1) * sizeof(Declared));
  session->declared_outputs = allocate((outputs + 1) * sizeof(Declared));
  session->output_names = allocate((outputs + 1) * sizeof *session->output_names);
  for (size_t i = 0; i < session->inputs; i++)
    session->declared_inputs[i] =
        declared(session->session, GET_INPUT_TYPE_INFO, GET_INPUT_NAME, i);
  for (size_t i = 0; i < outputs; i++) {
    Declared one = declared(session->session, GET_OUTPUT_TYPE_INFO, GET_OUTPUT_NAME, i);
    if (!type_name(one.type)) continue;
    session->output_names[session->outputs] = one.name;
    session->declared_outputs[session->outputs++] = one;
  }
}

bool session_open(Session *session, const void *model, size_t size, const Settings *settings,
                  Text *why) {
  *session = (Session){0};
  void *options = options_of(settings);
  void *status = SLOT(CREATE_SESSION_FROM_ARRAY,
                      void *(*)(const void *, const void *, size_t, const void *, void **))(
      environment, model, size, options, &session->session);
  const char *reason = said(status);
  SLOT(RELEASE_SESSION_OPTIONS, Release)(options);
  if (reason) {
    text_print(why, "%s", reason);
    return false;
  }
  describe(session);
  return true;
}

void session_close(Session *session) {
  SLOT(RELEASE_SESSION, Release)(session->session);
  free(session->declared_inputs);
  free(session->declared_outputs);
  free(session->output_names);
  *session = (Session){0};
}

/* The size of an open dimension: what an input has where it is called the same. */
static int64_t size_called(const Session *session, const char *symbol, const char *const *names,
                           const Tensor *inputs, size_t count) {
  for (size_t i = 0; i < session->inputs; i++) {
    const Declared *input = &session->declared_inputs[i];
    for (size_t k = 0; k < count; k++) {
      if (strcmp(names[k], input->name)) continue;
      for (int d = 0; d < input->rank && d < inputs[k].rank; d++)
        if (input->shape[d] < 0 && !strcmp(input->symbols[d], symbol)) return inputs[k].shape[d];
    }
  }
  return -1;
}

bool session_shape(const Session *session, size_t output, const char *const *names,
                   const Tensor *inputs, size_t count, Tensor *into) {
  const Declared *declared = &session->declared_outputs[output];
  *into = (Tensor){.type = declared->type, .rank = declared->rank};
  for (int d = 0; d < declared->rank; d++) {
    into->shape[d] = declared->shape[d];
    if (into->shape[d] < 0 && declared->symbols[d][0])
      into->shape[d] = size_called(session, declared->symbols[d], names, inputs, count);
    if (into->shape[d] < 0) return false;
  }
  into->bytes = shape_bytes(into->type, into->rank, into->shape);
  return true;
}

static size_t nodes_on(const void *part, const char *provider) {
  const char *name = NULL;
  const void *const *nodes = NULL;
  size_t count = 0;
  check(SLOT(SUBGRAPH_EP_NAME, Ask1)(part, &name));
  check(SLOT(SUBGRAPH_NODES, void *(*)(const void *, const void *const **, size_t *))(part, &nodes,
                                                                                      &count));
  return strcmp(name, provider) ? 0 : count;
}

void session_placement(const Session *session, Text *into) {
  const void *const *parts = NULL;
  size_t count = 0;
  check(SLOT(GET_GRAPH_ASSIGNMENT, void *(*)(const void *, const void *const **, size_t *))(
      session->session, &parts, &count));
  text_add(into, "{", 1);
  bool is_first = true;
  for (int p = 0; p < provider_count; p++) {
    size_t nodes = 0;
    for (size_t i = 0; i < count; i++) nodes += nodes_on(parts[i], providers[p]);
    if (nodes) text_print(into, "%s\"%s\":%zu", is_first ? "" : ",", providers[p], nodes);
    if (nodes) is_first = false;
  }
  text_add(into, "}", 1);
}

Value *value_over(const Tensor *tensor) {
  Value *value = NULL;
  check(SLOT(CREATE_TENSOR_WITH_DATA,
             void *(*)(const void *, void *, size_t, const int64_t *, size_t, int, Value **))(
      memory_info, tensor->data, tensor->bytes, tensor->shape, (size_t)tensor->rank, tensor->type,
      &value));
  return value;
}

void value_free(Value *value) {
  if (value) SLOT(RELEASE_VALUE, Release)(value);
}

Tensor value_tensor(const Value *value) {
  Tensor found = {0};
  Declared shape = {0};
  void *info = NULL;
  check(SLOT(GET_TYPE_AND_SHAPE, Ask1)(value, &info));
  check(SLOT(GET_ELEMENT_TYPE, Ask1)(info, &found.type));
  read_dimensions(info, &shape);
  SLOT(RELEASE_SHAPE_INFO, Release)(info);
  found.rank = shape.rank;
  memcpy(found.shape, shape.shape, sizeof found.shape);
  found.bytes = shape_bytes(found.type, found.rank, found.shape);
  check(SLOT(GET_TENSOR_DATA, Ask1)(value, &found.data));
  return found;
}

void session_run(const Session *session, const char *const *names, Value *const *inputs,
                 size_t count, Value **outputs) {
  typedef void *(*Run)(void *, const void *, const char *const *, Value *const *, size_t,
                       const char *const *, size_t, Value **);
  void *status = SLOT(RUN, Run)(session->session, run_options, names, inputs, count,
                                session->output_names, session->outputs, outputs);
  if (status) check(status);
}
