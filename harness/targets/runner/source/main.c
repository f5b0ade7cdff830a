/* The C runner: what measures a model on a device without Python.

   runner VERB …, with libonnxruntime.so beside it or named by DUANPING_ONNXRUNTIME. */
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"
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

int main(int count, char **words) {
  const char *verb = count > 1 ? words[1] : "";
  if (!strcmp(verb, "agent") && count == 2) return agent(library_path(words[0]));
  fprintf(stderr, "no such verb: %s\n", verb);
  return 2;
}
