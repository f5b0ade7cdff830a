/* What is done beside the window: the harness's own cost before it, and answers and a
   look for a memory after it (harness/agent/overhead.py, repeats.py, answering.py). */
#ifndef DUANPING_AFTER_H
#define DUANPING_AFTER_H

#include "bench.h"
#include "voice.h"

void overhead_measure(const Bench *bench, Voice *voice);
/* Gives the outputs that were kept of timed queries; the host scores them. */
void answers_of_window(const Bench *bench, Voice *voice);
/* Answers the samples of the order, untimed, and gives the outputs. */
void answers_of_session(const Bench *bench, const char *source, Voice *voice);
void repeats_probe(const Bench *bench, Voice *voice);

#endif
