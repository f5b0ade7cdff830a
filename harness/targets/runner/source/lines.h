/* Lines from a file descriptor. */
#ifndef DUANPING_LINES_H
#define DUANPING_LINES_H

#include <stdbool.h>

#include "text.h"

/* Reads up to and with the next line's end, byte by byte: what follows is left there.
   False where the input ends before. */
bool read_line(int file, Text *line);

#endif
