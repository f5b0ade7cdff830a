/* Reads lines with the runner's own code and says what it made of them: the other side
   of tests/unit/targets/test_runner_reading.py.

   reader json: each line as JSON, written again in the runner's form, or "none".
   reader order: "order ID", or "none", of each line read as an order.
   reader base64: lines of base64 as their bytes in base64 again, or "none".
   reader kernels: a line of base64 as "quantised all" of a model, or "none". */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ending.h"
#include "inspect.h"
#include "json.h"
#include "lines.h"
#include "order.h"

_Noreturn void end_trial(const char *outcome, const char *format, ...) {
  fprintf(stderr, "%s: %s\n", outcome, format);
  abort();
}

void (*before_end)(void);

bool is_memory_short(const char *said) { return !said; }

static void write_value(Text *out, const Json *value) {
  switch (value->kind) {
    case JSON_NULL:
      text_print(out, "null");
      return;
    case JSON_FALSE:
      text_print(out, "false");
      return;
    case JSON_TRUE:
      text_print(out, "true");
      return;
    case JSON_STRING:
      text_string(out, value->text, value->size);
      return;
    case JSON_NUMBER: {
      int64_t whole = json_integer(value, INT64_MIN);
      if (whole != INT64_MIN) text_print(out, "%" PRId64, whole);
      else text_real(out, json_real(value, 0));
      return;
    }
    default:
      break;
  }
  bool is_object = value->kind == JSON_OBJECT;
  text_add(out, is_object ? "{" : "[", 1);
  for (const Json *one = value->first; one; one = one->next) {
    if (one != value->first) text_add(out, ",", 1);
    if (is_object) text_string(out, one->key, one->key_size);
    if (is_object) text_add(out, ":", 1);
    write_value(out, one);
  }
  text_add(out, is_object ? "}" : "]", 1);
}

static bool as_json(const Text *line, Text *out) {
  JsonDocument document;
  if (!json_parse(&document, line->data, line->size, NULL)) return false;
  write_value(out, document.root);
  json_free(&document);
  return true;
}

static bool as_order(const Text *line, Text *out) {
  Order order;
  const char *why;
  if (!order_read(&order, line->data, line->size, &why)) return false;
  text_print(out, "order %s %zu", order.trial, order_answer_at(&order, order.answer_count));
  return true;
}

static bool as_base64(const Text *line, Text *out, bool is_model) {
  JsonDocument document;
  size_t size = 0;
  int64_t quantised = 0, all = 0;
  if (!json_parse(&document, line->data, line->size, NULL)) return false;
  unsigned char *data = json_base64(document.root, &size);
  bool is_read = data && (!is_model || count_kernels(data, size, &quantised, &all));
  if (is_read && is_model) text_print(out, "%" PRId64 " %" PRId64, quantised, all);
  else if (is_read) text_base64(out, data, size);
  free(data);
  json_free(&document);
  return is_read;
}

int main(int count, char **words) {
  Text line = {0}, out = {0};
  const char *form = count > 1 ? words[1] : "";
  while (read_line(0, &line)) {
    out.size = 0;
    bool is_read = !strcmp(form, "json")    ? as_json(&line, &out)
                   : !strcmp(form, "order") ? as_order(&line, &out)
                                            : as_base64(&line, &out, !strcmp(form, "kernels"));
    if (!is_read) printf("none\n");
    else printf("%s\n", out.size ? out.data : "");
    fflush(stdout);
  }
  text_free(&line);
  text_free(&out);
  return 0;
}
