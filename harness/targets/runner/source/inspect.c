#include "inspect.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"
#include "clock.h"
#include "ending.h"

/* As harness/runtimes/onnxrt.py has them. */
static const char *const QUANTISED[] = {"ConvInteger",     "DynamicQuantizeMatMul", "MatMulInteger",
                                        "MatMulInteger16", "MatMulIntegerToFloat",  "MatMulNBits",
                                        "QAttention",      "QConvTranspose",        "QGemm",
                                        "QLinearConv",     "QLinearMatMul"};
static const char *const NOT_QUANTISED[] = {"Conv",      "ConvTranspose", "FusedConv",
                                            "FusedGemm", "FusedMatMul",   "Gemm",
                                            "MatMul",    "NhwcFusedConv"};
enum { DEEPEST = 32 };

/* Fields of onnx.proto: ModelProto.graph → GraphProto.node → NodeProto.op_type and
   .attribute → AttributeProto.g and .graphs. The encoding is Protocol Buffers'. */
enum {
  MODEL_GRAPH = 7,
  GRAPH_NODE = 1,
  NODE_OP_TYPE = 4,
  NODE_ATTRIBUTE = 5,
  ATTRIBUTE_GRAPH = 6,
  ATTRIBUTE_GRAPHS = 11
};

typedef struct Field {
  uint64_t number;
  const unsigned char *data;
  size_t size; /* 0 for a field that holds no bytes */
} Field;

static bool read_varint(const unsigned char **at, const unsigned char *end, uint64_t *value) {
  *value = 0;
  for (int shift = 0; *at < end && shift < 64; shift += 7) {
    unsigned char byte = *(*at)++;
    *value |= (uint64_t)(byte & 127) << shift;
    if (byte < 128) return true;
  }
  return false;
}

/* Reads the next field; false for bytes that are none. */
static bool next_field(const unsigned char **at, const unsigned char *end, Field *field) {
  uint64_t key, size = 0;
  if (!read_varint(at, end, &key)) return false;
  *field = (Field){.number = key >> 3};
  switch (key & 7) {
    case 0:
      return read_varint(at, end, &size);
    case 1:
      size = 8;
      break;
    case 5:
      size = 4;
      break;
    case 2:
      if (!read_varint(at, end, &size)) return false;
      field->data = *at;
      field->size = size;
      break;
    default:
      return false;
  }
  if (size > (uint64_t)(end - *at)) return false;
  *at += size;
  return true;
}

static bool is_one_of(const Field *name, const char *const *list, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (strlen(list[i]) == name->size && !memcmp(list[i], name->data, name->size)) return true;
  return false;
}

typedef struct Counts {
  int64_t quantised, all;
  int depth;
} Counts;

static bool count_graph(const Field *graph, Counts *counts);

static bool count_attribute(const Field *attribute, Counts *counts) {
  const unsigned char *at = attribute->data, *end = at + attribute->size;
  for (Field field; at < end;) {
    if (!next_field(&at, end, &field)) return false;
    bool is_graph = field.number == ATTRIBUTE_GRAPH || field.number == ATTRIBUTE_GRAPHS;
    if (is_graph && field.data && !count_graph(&field, counts)) return false;
  }
  return true;
}

static bool count_node(const Field *node, Counts *counts) {
  const unsigned char *at = node->data, *end = at + node->size;
  for (Field field; at < end;) {
    if (!next_field(&at, end, &field)) return false;
    if (field.number == NODE_OP_TYPE && field.data) {
      bool is_quantised = is_one_of(&field, QUANTISED, sizeof QUANTISED / sizeof *QUANTISED);
      counts->quantised += is_quantised;
      counts->all += is_quantised ||
                     is_one_of(&field, NOT_QUANTISED, sizeof NOT_QUANTISED / sizeof *NOT_QUANTISED);
    }
    if (field.number == NODE_ATTRIBUTE && field.data && !count_attribute(&field, counts))
      return false;
  }
  return true;
}

static bool count_graph(const Field *graph, Counts *counts) {
  if (++counts->depth > DEEPEST) return false;
  const unsigned char *at = graph->data, *end = at + graph->size;
  for (Field field; at < end;) {
    if (!next_field(&at, end, &field)) return false;
    if (field.number == GRAPH_NODE && field.data && !count_node(&field, counts)) return false;
  }
  counts->depth--;
  return true;
}

bool count_kernels(const unsigned char *model, size_t size, int64_t *quantised, int64_t *all) {
  const unsigned char *at = model, *end = model + size;
  Counts counts = {0};
  for (Field field; at < end;) {
    if (!next_field(&at, end, &field)) return false;
    if (field.number == MODEL_GRAPH && field.data && !count_graph(&field, &counts)) return false;
  }
  *quantised = counts.quantised;
  *all = counts.all;
  return true;
}

static void count_written(const char *path, int64_t *quantised, int64_t *all) {
  FILE *file = fopen(path, "rb");
  struct stat found;
  if (!file || fstat(fileno(file), &found))
    end_trial("failed", "The optimised model was not written: %s", path);
  size_t size = (size_t)found.st_size;
  unsigned char *data = allocate(size + 1);
  bool is_read = fread(data, 1, size, file) == size;
  fclose(file);
  if (!is_read || !count_kernels(data, size, quantised, all))
    end_trial("failed", "The model that the runtime wrote cannot be read");
  free(data);
}

static Text folder, written; /* of the optimised model, for as long as it is there */

static void put_away(void) {
  unlink(written.data);
  rmdir(folder.data);
  before_end = NULL;
}

/* Makes a folder for the optimised model. */
static void make_room(const char *beside) {
  const char *room = getenv("TMPDIR");
  text_print(&folder, "%s/duanping-XXXXXX", room && *room ? room : "/tmp");
  if (!mkdtemp(folder.data)) {
    folder.size = 0; /* a phone has no /tmp; the model's own folder is ours */
    text_print(&folder, "%s-XXXXXX", beside);
    if (!mkdtemp(folder.data))
      end_trial("failed", "There is no room for the optimised model: %s", folder.data);
  }
  text_print(&written, "%s/optimised.onnx", folder.data);
  before_end = put_away;
}

void inspect(const Order *order, Voice *voice) {
  unsigned char *model;
  size_t size;
  Session session;
  Text placement = {0};
  int64_t begun_ns = now_ns(), quantised = 0, all = 0;
  model_read(order, &model, &size);
  make_room(order->model_path);
  model_open(order, model, size, written.data, &session);
  count_written(written.data, &quantised, &all);
  put_away();
  session_placement(&session, &placement);
  text_print(voice_event(voice, "ModelLoaded"),
             ",\"sha256\":\"%s\",\"load_ns\":%" PRId64 ",\"quantised_nodes\":%" PRId64
             ",\"quantisable_nodes\":%" PRId64 ",\"placement\":%s",
             order->sha256, now_ns() - begun_ns, quantised, all, placement.data);
  voice_say(voice);
}
