/* The small verbs: what a board is, what its files hold, what its clock says. */
#include "board.h"

#include <gnu/libc-version.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "clock.h"
#include "kernel.h"
#include "lines.h"
#include "ort.h"
#include "sha256.h"
#include "voice.h"

Text speak(const char *kind) {
  Text line = {0};
  text_print(&line, "{\"line\":\"%s\"", kind);
  return line;
}

int tell(Text *line) {
  text_print(line, "}\n");
  bool is_said = write_all(STDOUT_FILENO, line->data, line->size);
  text_free(line);
  return is_said ? SAID : NOT_SAID;
}

int refuse(const char *reason) {
  Text line = speak("refused");
  text_print(&line, ",\"reason\":");
  text_word(&line, reason);
  return tell(&line);
}

int digest(char **files, int count) {
  Sha256 digest;
  char hex[SHA256_HEX];
  sha256_begin(&digest);
  bool is_whole = true;
  for (int i = 0; i < count && is_whole; i++) is_whole = sha256_add_file(&digest, files[i]);
  sha256_end(&digest, hex);
  Text line = speak("digest");
  text_print(&line, ",\"sha256\":\"%s\"", is_whole ? hex : "");
  return tell(&line);
}

int tell_time(void) {
  Text asked = {0};
  while (read_line(STDIN_FILENO, &asked)) {
    Text line = speak("now");
    text_print(&line, ",\"at_ns\":%" PRId64, now_ns());
    tell(&line);
  }
  return SAID;
}

static void add_fact(Text *line, const char *name, const char *value) {
  if (!value || !*value) return;
  bool is_first = line->data[line->size - 1] == '{';
  text_print(line, "%s\"%s\":", is_first ? "" : ",", name);
  text_word(line, value);
}

/* Adds what was allocated for it. */
static void add_found(Text *line, const char *name, char *value) {
  add_fact(line, name, value);
  free(value);
}

/* What stands after a word and a separator in a file, as in os-release or cpuinfo. */
static char *after_word(const char *path, const char *word, char separator) {
  char line[1024], *found = NULL;
  FILE *file = fopen(path, "r");
  while (file && !found && fgets(line, sizeof line, file)) {
    char *value = strchr(line, separator);
    size_t size = strlen(word);
    if (!value || strncmp(line, word, size) ||
        strspn(line + size, " \t") != (size_t)(value - line) - size)
      continue;
    value += 1 + strspn(value + 1, " \t\"");
    value[strcspn(value, "\"\n")] = 0;
    found = strdup(value);
  }
  if (file) fclose(file);
  return found;
}

static char *processor(void) {
  static const char path[] = "/proc/cpuinfo";
  char *name = after_word(path, "model name", ':');
  if (name) return name;
  char *part = after_word(path, "CPU part", ':'), *maker = after_word(path, "CPU implementer", ':');
  if (!part) {
    free(maker);
    return after_word(path, "Hardware", ':');
  }
  Text words = {0};
  text_print(&words, "Arm implementer %s part %s", maker ? maker : "?", part);
  free(part);
  free(maker);
  return words.data;
}

static char *property(const char *name) {
  const char *const command[] = {"getprop", name, NULL};
  char *said = said_by(command);
  if (said) said[strcspn(said, "\n")] = 0;
  return said;
}

/* What Android says of a phone; true where this is one. */
static bool add_phone(Text *line) {
  static const char *const names[][2] = {{"android", "ro.build.version.release"},
                                         {"build", "ro.build.fingerprint"},
                                         {"abi", "ro.product.cpu.abi"},
                                         {"soc", "ro.soc.model"}};
  char *model = property("ro.product.model"), *maker = property("ro.product.manufacturer");
  Text board = {0};
  if (model && *model)
    text_print(&board, "%s%s%s", maker ? maker : "", maker && *maker ? " " : "", model);
  free(model);
  free(maker);
  if (!board.size) return false;
  add_found(line, "board", board.data);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    add_found(line, names[i][0], property(names[i][1]));
  return true;
}

static void add_zone(const char *path, void *with) {
  Text *names = with;
  char *name = first_line(path);
  if (name) text_print(names, "%s%s", names->size ? ", " : "", name);
  free(name);
}

static void add_machine(Text *line) {
  struct utsname name;
  char number[32];
  Text words = {0}, zones = {0};
  uname(&name);
  text_print(&words, "%s %s", name.sysname, name.release);
  add_found(line, "kernel", words.data);
  add_fact(line, "machine", name.machine);
  add_found(line, "cpu", processor());
  snprintf(number, sizeof number, "%ld", sysconf(_SC_NPROCESSORS_CONF));
  add_fact(line, "cores", number);
  snprintf(number, sizeof number, "%" PRId64, kernel_memory());
  if (kernel_memory() > 0) add_fact(line, "memory_bytes", number);
  add_found(line, "governor", kernel_governor());
  add_found(line, "boot", kernel_boot());
  each_file("/sys/class/thermal/thermal_zone*/type", add_zone, &zones);
  add_found(line, "thermal_zones", zones.data);
}

static void complain(const char *said) {
  fprintf(stderr, "%s\n", said);
  exit(NOT_SAID);
}

int facts(const char *library) {
  Text line = speak("facts"), why = {0}, libc = {0};
  text_print(&line, ",\"facts\":{");
  if (!add_phone(&line)) add_found(&line, "board", first_line("/proc/device-tree/model"));
  add_found(&line, "os", after_word("/etc/os-release", "PRETTY_NAME", '='));
  add_machine(&line);
  text_print(&libc, "glibc %s, brought along", gnu_get_libc_version());
  add_found(&line, "libc", libc.data);
  add_fact(&line, "runtime", "onnxruntime");
  ort_failed = complain;
  if (ort_open(library, &why)) add_fact(&line, "runtime_version", ort_version());
  else add_fact(&line, "runtime_missing", why.data);
  text_print(&line, "}");
  text_free(&why);
  return tell(&line);
}
