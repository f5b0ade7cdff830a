/* A trial from its first baseline to its last (harness/loadgen/machine.py). */
#ifndef DUANPING_SCENARIO_H
#define DUANPING_SCENARIO_H

#include "memory.h"
#include "pump.h"

bool scenario_is_known(const char *name);

/* Executes the phases; the model is loaded then. */
void scenario_run(Pump *pump, Memory *memory);

/* One start: load, and one query that counts from the start of the process. */
void scenario_start(Pump *pump, Memory *memory);

#endif
