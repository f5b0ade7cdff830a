/* The files of one run on a board, and what executes and relays it. */
#ifndef DUANPING_RUN_H
#define DUANPING_RUN_H

#include "json.h"
#include "voice.h"

typedef struct RunFolder {
  const char *path;
  char *journal; /* everything that was said, line after line */
  char *alive;   /* locked for as long as the keeper lives */
  char *lease;   /* touched whenever the host was heard of */
  char *stop;    /* there once the host wants the run ended */
  char *last;    /* room for the keeper's last words */
  char *boot;    /* which start of the machine the run belongs to */
  char *errors;
} RunFolder;

RunFolder run_folder(const char *path);

/* Executes the job's trial and writes the journal; every ending becomes an event. */
void keep(const Json *job, const RunFolder *folder);

/* Relays the journal from a place on, until the run is over or the link closes. */
int relay(const RunFolder *folder, int64_t offset);

/* Whether the host wants the run to stop; gives the reason, or NULL. */
typedef struct Watch {
  const RunFolder *folder;
  double lease_s;
  int64_t seen, heard_ns, look_ns;
  char reason[128];
} Watch;

void watch_open(Watch *watch, const RunFolder *folder, double lease_s);
const char *watch_look(Watch *watch);

/* One agent, from its start to its end. */
typedef struct Life {
  const char *task;
  const Json *job;
  Watch *watch;
  /* Called for each event but the last, with its kind and as it was said. */
  void (*heard)(void *with, const char *kind, const Json *event);
  void (*reading)(void *with); /* from time to time: `sampler` has readings to give */
  void *with;
  struct Sampler *sampler;
  int64_t queries;
  Text outcome, reason; /* how it ended */
} Life;

void live(Life *life);

#endif
