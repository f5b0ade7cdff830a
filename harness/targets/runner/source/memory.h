/* Memory of this very process, from the kernel's own account of it, in bytes; -1: the
   kernel does not say (harness/agent/telemetry.py). */
#ifndef DUANPING_MEMORY_H
#define DUANPING_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "voice.h"

typedef struct Memory {
  int64_t baseline, loaded, peak, proportional, retained;
  bool is_reset;
} Memory;

void memory_before_load(Memory *memory);
void memory_after_load(Memory *memory);
void memory_after_queries(Memory *memory);
void memory_after_dispose(Memory *memory);
void memory_report(const Memory *memory, Voice *voice);

#endif
