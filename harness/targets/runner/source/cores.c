#include "cores.h"

#include <sched.h>

static cpu_set_t model;

void cores_share(int threads) {
  cpu_set_t others;
  CPU_ZERO(&model);
  if (sched_getaffinity(0, sizeof others, &others)) return;
  /* from the highest down: interrupts land on the lowest first */
  for (int core = CPU_SETSIZE - 1; core >= 0 && threads > 0; core--) {
    if (!CPU_ISSET(core, &others)) continue;
    CPU_SET(core, &model);
    CPU_CLR(core, &others);
    threads--;
  }
  if (CPU_COUNT(&others)) sched_setaffinity(0, sizeof others, &others);
}

void cores_of_model(void) {
  if (CPU_COUNT(&model)) sched_setaffinity(0, sizeof model, &model);
}
