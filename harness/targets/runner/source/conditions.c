/* Conditions on a board: reached before a trial, held through it, put back after it
   (harness/targets/board/conditions.py). */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "board.h"
#include "clock.h"
#include "json.h"
#include "kernel.h"
#include "lines.h"
#include "lock.h"
#include "sha256.h"

static const double ANCHOR_LIMIT = 1.25; /* slower than this is a board held back */
static const int64_t LOOK_EVERY_NS = NS_PER_S, WATCH_NS = 250 * NS_PER_MS;
enum { ANCHOR_BYTES = 1 << 20, ANCHOR_ROUNDS = 8, MOST_POLICIES = 256 };

typedef struct Change {
  char *path, *before;
} Change;

static Change changes[MOST_POLICIES];
static volatile sig_atomic_t change_count, is_ended;

typedef struct Asked {
  const char *governor; /* NULL: none */
  double max_start_degc, anchor_ns, patience_s;
  Text what, where, remedy; /* of what was not reached */
} Asked;

static void set_governor(const char *path, void *with) {
  Asked *asked = with;
  char *found = first_line(path);
  bool is_to_change = found && strcmp(found, asked->governor) && !asked->what.size;
  if (is_to_change && change_count < MOST_POLICIES && write_text(path, asked->governor)) {
    changes[change_count++] = (Change){.path = strdup(path), .before = found};
    return;
  }
  if (is_to_change) {
    text_print(&asked->what, "The governor is '%s', and '%s' cannot be set: %s", found,
               asked->governor, strerror(errno));
    text_print(&asked->where, "%s", path);
    text_print(&asked->remedy, "Log in as root, or set it by hand before the run.");
  }
  free(found);
}

/* Writes back what was there before, and lists what could not be put back. */
static void put_back(Text *failed) {
  for (int i = 0; i < change_count; i++) {
    if (write_text(changes[i].path, changes[i].before)) continue;
    Text words = {0};
    text_print(&words, "%s = %s: %s", changes[i].path, changes[i].before, strerror(errno));
    if (failed->size) text_print(failed, ",");
    text_word(failed, words.data);
    text_free(&words);
  }
  change_count = 0;
}

static void note_end(int number) {
  (void)number;
  is_ended = 1;
}

static void rest(int64_t duration_ns) {
  int64_t until = now_ns() + duration_ns;
  while (now_ns() < until && !is_ended) {
    struct timespec pause = {.tv_nsec = 10 * NS_PER_MS};
    nanosleep(&pause, NULL);
  }
}

static bool cool(Asked *asked, int64_t patience_ns) {
  for (double degc; (degc = phone_temperature()) > asked->max_start_degc; rest(LOOK_EVERY_NS)) {
    if (now_ns() < patience_ns && !is_ended) continue;
    text_print(&asked->what, "The board is at %.1f degC and did not cool down to %g degC", degc,
               asked->max_start_degc);
    text_print(&asked->remedy, "Wait, cool it, or ask for less in the profile's conditions.");
    return false;
  }
  return true;
}

/* Digests one mebibyte, a fixed piece of work: the quickest of some rounds. */
static int64_t anchor_once(void) {
  static unsigned char data[ANCHOR_BYTES];
  int64_t quickest = INT64_MAX;
  for (int i = 0; i < ANCHOR_ROUNDS; i++) {
    Sha256 digest;
    char hex[SHA256_HEX];
    int64_t begun = now_ns();
    sha256_begin(&digest);
    sha256_add(&digest, data, sizeof data);
    sha256_end(&digest, hex);
    if (now_ns() - begun < quickest) quickest = now_ns() - begun;
  }
  return quickest;
}

static int64_t anchor(Asked *asked, int64_t patience_ns) {
  for (;; rest(LOOK_EVERY_NS)) {
    int64_t found = anchor_once();
    if (isnan(asked->anchor_ns) || (double)found <= ANCHOR_LIMIT * asked->anchor_ns) return found;
    if (now_ns() < patience_ns && !is_ended) continue;
    text_print(&asked->what,
               "The anchor workload takes %.2f times as long as at the start of the run",
               (double)found / asked->anchor_ns);
    text_print(&asked->remedy,
               "The board is held back: look at its heat, its supply and what else runs on it, "
               "then run again with --resume.");
    return 0;
  }
}

static double busy_cores(void) {
  double busy[2], all[2];
  bool is_known = kernel_ticks(&busy[0], &all[0]);
  rest(WATCH_NS);
  if (!is_known || !kernel_ticks(&busy[1], &all[1]) || all[1] <= all[0]) return NAN;
  return (busy[1] - busy[0]) / (all[1] - all[0]) * (double)sysconf(_SC_NPROCESSORS_CONF);
}

static void add_real(Text *line, const char *name, double value) {
  text_print(line, ",\"%s\":", name);
  if (isfinite(value)) text_real(line, value);
  else text_print(line, "null");
}

static bool reach(Asked *asked, Text *line) {
  int64_t patience_ns = now_ns() + (int64_t)(asked->patience_s * (double)NS_PER_S);
  if (asked->governor)
    each_file("/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor", set_governor, asked);
  if (asked->what.size || (!isnan(asked->max_start_degc) && !cool(asked, patience_ns)))
    return false;
  int64_t anchor_ns = anchor(asked, patience_ns);
  if (!anchor_ns) return false;
  double charger = phone_charger();
  char *governor = kernel_governor();
  text_print(line, ",\"conditions\":{\"anchor_ns\":%" PRId64, anchor_ns);
  add_real(line, "busy_cores", busy_cores());
  add_real(line, "device_degc", phone_temperature());
  add_real(line, "frequency_hz", kernel_frequency());
  add_real(line, "load_average", kernel_load());
  add_real(line, "throttle", phone_throttle());
  add_real(line, "charge", phone_charge());
  text_print(line, ",\"is_on_battery\":%s,\"governor\":",
             isnan(charger) ? "null"
             : charger > 0  ? "false"
                            : "true");
  if (governor) text_word(line, governor);
  else text_print(line, "null");
  text_print(line, "}");
  free(governor);
  return true;
}

static int say_not_reached(const Asked *asked) {
  Text line = speak("not-reached"), failed = {0};
  const struct {
    const char *name;
    const Text *words;
  } fields[] = {{"what", &asked->what}, {"where", &asked->where}, {"remedy", &asked->remedy}};
  put_back(&failed);
  text_free(&failed);
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    text_print(&line, ",\"%s\":", fields[i].name);
    text_word(&line, fields[i].words->size ? fields[i].words->data : "");
  }
  return tell(&line);
}

int conditions(const char *base) {
  Text line = {0}, failed = {0};
  JsonDocument document;
  const char *why;
  struct sigaction ending = {.sa_handler = note_end};
  signal(SIGHUP, SIG_IGN);
  sigaction(SIGTERM, &ending, NULL); /* no restart: a read that waits is ended by it */
  if (!read_line(STDIN_FILENO, &line) || !json_parse(&document, line.data, line.size, &why))
    return NOT_SAID;
  Asked asked = {.governor = json_text(json_member(document.root, "governor")),
                 .max_start_degc = json_real(json_member(document.root, "max_start_degc"), NAN),
                 .anchor_ns = json_real(json_member(document.root, "anchor_ns"), NAN),
                 .patience_s = json_real(json_member(document.root, "patience_s"), 300)};
  char *path = joined(base, "conditions"), *busy = joined(base, "busy");
  int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock < 0 || flock(lock, LOCK_EX)) return NOT_SAID; /* an earlier host's are put back first */
  Text said = speak("reached");
  if (!reach(&asked, &said)) return say_not_reached(&asked);
  tell(&said);
  char byte;
  ssize_t size = read(STDIN_FILENO, &byte, 1);
  if (size == 0 && !is_ended) /* the link is gone: the trial goes on, under these conditions */
    while (is_locked(busy) && !is_ended) rest(LOOK_EVERY_NS);
  put_back(&failed);
  said = speak("back");
  text_print(&said, ",\"failed\":[%s]", failed.size ? failed.data : "");
  return tell(&said);
}
