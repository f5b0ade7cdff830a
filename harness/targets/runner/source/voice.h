/* What an agent or a keeper says: hello, numbered events, done with a digest of it all
   (harness/loadgen/transcript.py). */
#ifndef DUANPING_VOICE_H
#define DUANPING_VOICE_H

#include <stdbool.h>
#include <stdint.h>

#include "sha256.h"
#include "text.h"

typedef struct Voice {
  int file;
  const char *trial;
  int64_t count;   /* of events */
  int64_t queries; /* in them */
  Sha256 digest;
  Text event, line;
} Voice;

void voice_open(Voice *voice, int file, const char *trial);
void voice_hello(Voice *voice, const char *const facts[][2]); /* ends with a NULL */

/* Begins an event; its further fields are written to what is given, each after a comma.
   `voice_say` ends and says it; false where the line cannot be written. */
Text *voice_event(Voice *voice, const char *kind);
bool voice_say(Voice *voice);
bool voice_repeat(Voice *voice, const char *event, size_t size); /* one that is JSON already */
bool voice_note(Voice *voice, const char *key, const char *value);
bool voice_phase(Voice *voice, const char *phase, int64_t at_ns);
bool voice_done(Voice *voice);

/* Writes all of it; false where that cannot be. */
bool write_all(int file, const void *data, size_t size);

#endif
