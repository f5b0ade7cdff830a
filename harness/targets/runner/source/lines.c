#include "lines.h"

#include <errno.h>
#include <unistd.h>

bool read_line(int file, Text *line) {
  char byte;
  line->size = 0;
  for (;;) {
    ssize_t size = read(file, &byte, 1);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return false;
    text_add(line, &byte, 1);
    if (byte == '\n') return true;
  }
}
