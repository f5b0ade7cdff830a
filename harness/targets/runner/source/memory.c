#include "memory.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int64_t kib_of(const char *path, const char *key) {
  char line[256];
  int64_t found = -1;
  FILE *file = fopen(path, "r");
  if (!file) return -1;
  while (found < 0 && fgets(line, sizeof line, file))
    if (!strncmp(line, key, strlen(key))) sscanf(line + strlen(key), "%" SCNd64, &found);
  fclose(file);
  return found < 0 ? -1 : found * 1024;
}

static int64_t resident(void) {
  long long size, pages;
  FILE *file = fopen("/proc/self/statm", "r");
  if (!file) return -1;
  int found = fscanf(file, "%lld %lld", &size, &pages);
  fclose(file);
  return found == 2 ? pages * sysconf(_SC_PAGESIZE) : -1;
}

/* Sets the kernel's high-water mark back to what is resident now: proc(5), clear_refs. */
static bool reset_peak(void) {
  int file = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  bool is_reset = write(file, "5", 1) == 1;
  close(file);
  return is_reset;
}

void memory_before_load(Memory *memory) {
  memory->is_reset = reset_peak();
  memory->baseline = resident();
}

void memory_after_load(Memory *memory) { memory->loaded = resident(); }

void memory_after_queries(Memory *memory) {
  memory->peak = kib_of("/proc/self/status", "VmHWM:");
  memory->proportional = kib_of("/proc/self/smaps_rollup", "Pss:");
}

void memory_after_dispose(Memory *memory) { memory->retained = resident(); }

void memory_report(const Memory *memory, Voice *voice) {
  const struct {
    const char *name;
    int64_t value;
  } fields[] = {{"baseline_bytes", memory->baseline},
                {"loaded_bytes", memory->loaded},
                {"peak_bytes", memory->peak},
                {"pss_bytes", memory->proportional},
                {"retained_bytes", memory->retained}};
  Text *event = voice_event(voice, "MemoryMeasured");
  text_print(event, ",\"method\":\"VmHWM\"");
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    text_print(event, ",\"%s\":", fields[i].name);
    if (fields[i].value < 0) text_print(event, "null");
    else text_print(event, "%" PRId64, fields[i].value);
  }
  voice_say(voice);
  if (!memory->is_reset) voice_note(voice, "memory_mark", "not reset");
}
