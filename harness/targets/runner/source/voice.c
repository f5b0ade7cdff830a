#include "voice.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

bool write_all(int file, const void *data, size_t size) {
  const char *at = data;
  while (size) {
    ssize_t written = write(file, at, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    at += written;
    size -= (size_t)written;
  }
  return true;
}

void voice_open(Voice *voice, int file, const char *trial) {
  *voice = (Voice){.file = file, .trial = trial};
  sha256_begin(&voice->digest);
}

static bool speak(Voice *voice) {
  text_add(&voice->line, "\n", 1);
  sha256_add(&voice->digest, voice->line.data, voice->line.size);
  bool is_said = write_all(voice->file, voice->line.data, voice->line.size);
  voice->line.size = 0;
  return is_said;
}

void voice_hello(Voice *voice, const char *const facts[][2]) {
  text_print(&voice->line, "{\"line\":\"hello\",\"facts\":{");
  for (int i = 0; facts[i][0]; i++) {
    if (i) text_add(&voice->line, ",", 1);
    text_word(&voice->line, facts[i][0]);
    text_add(&voice->line, ":", 1);
    text_word(&voice->line, facts[i][1]);
  }
  text_add(&voice->line, "}}", 2);
  speak(voice);
}

Text *voice_event(Voice *voice, const char *kind) {
  voice->event.size = 0;
  text_print(&voice->event, "{\"kind\":\"%s\",\"trial\":", kind);
  text_word(&voice->event, voice->trial);
  return &voice->event;
}

bool voice_say(Voice *voice) {
  text_add(&voice->event, "}", 1);
  return voice_repeat(voice, voice->event.data, voice->event.size);
}

bool voice_repeat(Voice *voice, const char *event, size_t size) {
  text_print(&voice->line, "{\"line\":\"event\",\"seq\":%" PRId64 ",\"event\":", voice->count++);
  text_add(&voice->line, event, size);
  text_add(&voice->line, "}", 1);
  return speak(voice);
}

bool voice_note(Voice *voice, const char *key, const char *value) {
  Text *event = voice_event(voice, "Noted");
  text_print(event, ",\"key\":");
  text_word(event, key);
  text_print(event, ",\"value\":");
  text_word(event, value);
  return voice_say(voice);
}

bool voice_phase(Voice *voice, const char *phase, int64_t at_ns) {
  text_print(voice_event(voice, "PhaseEntered"), ",\"phase\":\"%s\",\"at_ns\":%" PRId64, phase,
             at_ns);
  return voice_say(voice);
}

bool voice_done(Voice *voice) {
  char digest[SHA256_HEX];
  sha256_end(&voice->digest, digest);
  text_print(&voice->line, "{\"line\":\"done\",\"count\":%" PRId64 ",\"sha256\":\"%s\"}",
             voice->count, digest);
  return speak(voice);
}
