#include "start.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text.h"

static Text line;  /* /proc/self/cmdline: with the loader in front, where there is one */
static char **own; /* its words before the verb */
static int own_count;

void start_noted(int words) {
  char piece[4096];
  int file = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC), count = 0;
  for (ssize_t size; file >= 0 && (size = read(file, piece, sizeof piece)) > 0;)
    text_add(&line, piece, (size_t)size);
  if (file >= 0) close(file);
  for (size_t i = 0; i < line.size; i++) count += !line.data[i];
  own_count = count > words ? count - words : 0;
  own = allocate((size_t)(own_count + 1) * sizeof *own);
  char *at = line.data;
  for (int i = 0; i < own_count; i++, at += strlen(at) + 1) own[i] = at;
}

void start_again(const char *const *words) {
  int count = 0;
  while (words[count]) count++;
  char **command = allocate((size_t)(own_count + count + 1) * sizeof *command);
  memcpy(command, own, (size_t)own_count * sizeof *command);
  for (int i = 0; i < count; i++) command[own_count + i] = (char *)(uintptr_t)words[i];
  if (own_count) execv(command[0], command);
}
