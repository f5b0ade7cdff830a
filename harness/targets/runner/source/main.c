/* The C runner: what measures a model on a device without Python.

   runner VERB …, with libonnxruntime.so beside it or named by DUANPING_ONNXRUNTIME. */
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "board.h"
#include "start.h"
#include "text.h"

/* Names the library: beside the runner, unless another one is asked for. */
static char *library_path(const char *runner) {
  const char *asked = getenv("DUANPING_ONNXRUNTIME");
  if (asked && *asked) return strdup(asked);
  Text path = {0};
  char *own = strdup(runner);
  text_print(&path, "%s/libonnxruntime.so", dirname(own));
  free(own);
  return path.data;
}

static int no_such(char **words) {
  Text said = {0};
  for (; *words; words++) text_print(&said, " %s", *words);
  fprintf(stderr, "no such verb:%s\n", said.size ? said.data : "");
  return 2;
}

int main(int count, char **words) {
  char *library = library_path(words[0]);
  char **own = words + 2;
  int more = count - 2;
  if (count < 2) return no_such(words + count);
  const char *verb = words[1];
  start_noted(count - 1);
  if (!strcmp(verb, "agent") && more == 0) return agent(library);
  if (!strcmp(verb, "facts") && more == 0) return facts(library);
  if (!strcmp(verb, "digest")) return digest(own, more);
  if (!strcmp(verb, "now") && more == 0) return tell_time();
  if (!strcmp(verb, "hold") && more == 3) return hold(own[0], own[1], own[2]);
  if (!strcmp(verb, "conditions") && more == 1) return conditions(own[0]);
  if (!strcmp(verb, "run") && more == 2) return begin_run(own[0], own[1]);
  if (!strcmp(verb, "follow") && more == 2) return follow(own[0], own[1]);
  return no_such(words + 1);
}
