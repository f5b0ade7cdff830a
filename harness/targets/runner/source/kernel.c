#include "kernel.h"

#include <ctype.h>
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static const double COLDEST_DEGC = -60, HOTTEST_DEGC = 150; /* beyond: not connected */
static const double WHOLE_DEGREES_BELOW = 200;              /* some drivers give no millidegrees */

char *first_line(const char *path) {
  char line[1024];
  FILE *file = fopen(path, "r");
  if (!file) return NULL;
  size_t size = fread(line, 1, sizeof line - 1, file);
  bool is_read = !ferror(file); /* a sensor may be asleep */
  fclose(file);
  if (!is_read) return NULL;
  line[size] = 0;
  line[strcspn(line, "\n")] = 0;
  size = strlen(line);
  while (size && isspace((unsigned char)line[size - 1])) line[--size] = 0;
  return strdup(line);
}

double number_in(const char *path) {
  char *line = first_line(path), *end = line;
  double found = line ? strtod(line, &end) : NAN;
  if (!line || end == line || *end) found = NAN;
  free(line);
  return found;
}

void each_file(const char *pattern, void (*each)(const char *, void *), void *with) {
  glob_t found;
  if (glob(pattern, 0, NULL, &found)) return;
  for (size_t i = 0; i < found.gl_pathc; i++) each(found.gl_pathv[i], with);
  globfree(&found);
}

static char *line_beside(const char *folder, const char *name) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return first_line(path);
}

static double number_beside(const char *folder, const char *name) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return number_in(path);
}

static bool is_named(const char *name, const char *const *words) {
  for (; name && *words; words++)
    if (strcasestr(name, *words)) return true;
  return false;
}

typedef struct Hottest {
  double processor, any;
} Hottest;

static void look_at_zone(const char *zone, void *with) {
  static const char *const words[] = {"cpu", "soc",    "pkg",    "core", "tsens",
                                      "big", "little", "acpitz", NULL};
  Hottest *hottest = with;
  double degc = number_beside(zone, "temp");
  if (fabs(degc) >= WHOLE_DEGREES_BELOW) degc *= 1e-3;
  if (!(degc >= COLDEST_DEGC && degc <= HOTTEST_DEGC)) return;
  char *type = line_beside(zone, "type");
  hottest->any = fmax(hottest->any, degc);
  if (is_named(type, words)) hottest->processor = fmax(hottest->processor, degc);
  free(type);
}

double kernel_temperature(void) {
  Hottest hottest = {NAN, NAN};
  each_file("/sys/class/thermal/thermal_zone*", look_at_zone, &hottest);
  return isnan(hottest.processor) ? hottest.any : hottest.processor;
}

typedef struct Sum {
  double sum, count;
} Sum;

static void add_number(const char *path, void *with) {
  Sum *sum = with;
  double found = number_in(path);
  if (isnan(found)) return;
  sum->sum += found;
  sum->count++;
}

double kernel_frequency(void) {
  Sum khz = {0};
  each_file("/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq", add_number, &khz);
  return khz.count > 0 ? khz.sum / khz.count * 1e3 : NAN;
}

static void look_at_cooling(const char *device, void *with) {
  static const char *const words[] = {"cpu", "processor", "cpufreq", NULL};
  char *type = line_beside(device, "type");
  double *deepest = with;
  if (is_named(type, words)) *deepest = fmax(*deepest, number_beside(device, "cur_state"));
  free(type);
}

double kernel_throttle(void) {
  double deepest = NAN;
  each_file("/sys/class/thermal/cooling_device*", look_at_cooling, &deepest);
  char *flags = first_line("/sys/devices/platform/soc/soc:firmware/get_throttled"), *end = flags;
  if (flags) { /* a Raspberry Pi: flag 2 is "currently throttled" */
    long bits = strtol(flags, &end, 16);
    if (end != flags && !*end) deepest = fmax(deepest, (double)(bits >> 2 & 1));
  }
  free(flags);
  return deepest;
}

typedef struct Supply {
  const char *kind, *name;
  double found; /* the largest */
  char *text;
} Supply;

static void look_at_supply(const char *folder, void *with) {
  Supply *supply = with;
  char *type = line_beside(folder, "type"), *scope = line_beside(folder, "scope");
  bool is_ours = type && !strcmp(type, supply->kind) && !(scope && !strcmp(scope, "Device"));
  if (is_ours) supply->found = fmax(supply->found, number_beside(folder, supply->name));
  if (is_ours && !supply->text) supply->text = line_beside(folder, "status");
  free(type);
  free(scope);
}

static Supply supplies(const char *kind, const char *name) {
  Supply supply = {.kind = kind, .name = name, .found = NAN};
  each_file("/sys/class/power_supply/*", look_at_supply, &supply);
  return supply;
}

double kernel_charge(void) {
  Supply battery = supplies("Battery", "capacity");
  free(battery.text);
  return battery.found / 100;
}

double kernel_charger(void) {
  static const char *const kinds[] = {"Mains", "USB", "Wireless"};
  double found = NAN;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    Supply supply = supplies(kinds[i], "online");
    found = fmax(found, supply.found);
    free(supply.text);
  }
  if (!isnan(found)) return found > 0;
  Supply battery = supplies("Battery", "capacity");
  if (battery.text) found = strcmp(battery.text, "Discharging") != 0;
  free(battery.text);
  return found;
}

double kernel_load(void) {
  char *line = first_line("/proc/loadavg");
  double load = line ? strtod(line, NULL) : NAN;
  free(line);
  return load;
}

bool kernel_ticks(double *busy, double *all) {
  double ticks[8] = {0};
  char *line = first_line("/proc/stat");
  int found = line ? sscanf(line, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &ticks[0], &ticks[1],
                            &ticks[2], &ticks[3], &ticks[4], &ticks[5], &ticks[6], &ticks[7])
                   : 0;
  free(line);
  *all = 0;
  for (int i = 0; i < 8; i++) *all += ticks[i];
  *busy = *all - ticks[3] - ticks[4];
  return found > 4;
}

static void add_governor(const char *path, void *with) {
  Text *names = with;
  char *name = first_line(path);
  if (name && *name && !(names->size && strstr(names->data, name)))
    text_print(names, "%s%s", names->size ? ", " : "", name);
  free(name);
}

char *kernel_governor(void) {
  Text names = {0};
  each_file("/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor", add_governor, &names);
  return names.data;
}

char *kernel_boot(void) {
  char *id = first_line("/proc/sys/kernel/random/boot_id");
  return id ? id : strdup("unknown");
}

/* The number after a word at the start of a line. */
static int64_t number_after(const char *path, const char *word) {
  char line[256];
  long long found = -1;
  FILE *file = fopen(path, "r");
  if (!file) return -1;
  while (found < 0 && fgets(line, sizeof line, file))
    if (!strncmp(line, word, strlen(word))) sscanf(line + strlen(word), " %lld", &found);
  fclose(file);
  return found;
}

int64_t kernel_memory(void) {
  int64_t kib = number_after("/proc/meminfo", "MemTotal:");
  return kib < 0 ? -1 : kib * 1024;
}

int64_t kernel_kills(void) { return number_after("/proc/vmstat", "oom_kill "); }

double process_resident(pid_t pid) {
  char path[64];
  double size, pages;
  snprintf(path, sizeof path, "/proc/%ld/statm", (long)pid);
  char *line = first_line(path);
  int found = line ? sscanf(line, "%lf %lf", &size, &pages) : 0;
  free(line);
  return found == 2 ? pages * (double)sysconf(_SC_PAGESIZE) : NAN;
}

double process_seconds(pid_t pid) {
  char path[64];
  double user, system;
  snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
  char *line = first_line(path),
       *after = line ? strrchr(line, ')') : NULL; /* a name may hold blanks */
  int found = after ? sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lf %lf",
                             &user, &system)
                    : 0;
  free(line);
  return found == 2 ? (user + system) / (double)sysconf(_SC_CLK_TCK) : NAN;
}
