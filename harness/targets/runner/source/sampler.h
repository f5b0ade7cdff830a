/* Readings of one process and its machine (harness/meters/kernelsampler.py). */
#ifndef DUANPING_SAMPLER_H
#define DUANPING_SAMPLER_H

#include <sys/types.h>

#include "voice.h"

enum { CHANNELS = 8, READINGS_ROOM = 64 };

typedef struct Column {
  int64_t times[READINGS_ROOM];
  double values[READINGS_ROOM];
  size_t count;
} Column;

typedef struct Sampler {
  pid_t pid;
  int64_t next_ns, given_ns;
  int round;
  double seconds; /* processor time at the last reading */
  int64_t seconds_ns;
  double peak; /* of the resident set */
  Column columns[CHANNELS];
} Sampler;

void sampler_begin(Sampler *sampler, pid_t pid);
/* Takes the readings that are due; gives when the next ones are. */
int64_t sampler_take(Sampler *sampler);
bool sampler_is_due(const Sampler *sampler); /* whether readings should be given now */
void sampler_give(Sampler *sampler, Voice *voice);

#endif
