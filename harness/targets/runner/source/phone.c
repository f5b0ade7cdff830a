/* What Android's services say of a phone: getprop and dumpsys wake them, so they are
   asked before a trial and never in one. */
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "kernel.h"

static const int64_t PATIENCE_NS = 5 * NS_PER_S;
enum { CPU = 0, SKIN = 3 }; /* Temperature.java, types */

static void be_command(const char *const *command, int out) {
  int nothing = open("/dev/null", O_RDWR);
  dup2(nothing, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(nothing, STDERR_FILENO);
  execvp(command[0], (char *const *)command);
  _exit(127);
}

static bool read_until(int file, int64_t until, Text *into) {
  char piece[4096];
  for (;;) {
    int64_t left = (until - now_ns()) / NS_PER_MS;
    struct pollfd one = {.fd = file, .events = POLLIN};
    if (left <= 0 || poll(&one, 1, (int)left) <= 0) return false;
    ssize_t size = read(file, piece, sizeof piece);
    if (size <= 0) return size == 0;
    text_add(into, piece, (size_t)size);
  }
}

char *said_by(const char *const *command) {
  int ends[2], status = 0;
  Text said = {0};
  if (pipe2(ends, O_CLOEXEC)) return NULL;
  pid_t child = fork();
  if (!child) be_command(command, ends[1]);
  close(ends[1]);
  bool is_whole = child > 0 && read_until(ends[0], now_ns() + PATIENCE_NS, &said);
  close(ends[0]);
  if (child > 0 && !is_whole) kill(child, SIGKILL);
  if (child > 0) waitpid(child, &status, 0);
  if (is_whole && WIFEXITED(status) && !WEXITSTATUS(status) && said.data) return said.data;
  text_free(&said);
  return NULL;
}

static char *dumped(const char *service) {
  const char *const command[] = {"dumpsys", service, NULL};
  return said_by(command);
}

/* The number on the line of the battery's service that begins with a word. */
static double of_battery(const char *word) {
  char *text = dumped("battery"), *rest = text;
  double found = NAN;
  for (char *line; isnan(found) && text && (line = strsep(&rest, "\n"));) {
    line += strspn(line, " ");
    size_t size = strlen(word);
    if (!strncmp(line, word, size) && line[size] == ':') sscanf(line + size + 1, "%lf", &found);
  }
  free(text);
  return found;
}

/* The hottest of a type that the thermal service lists, of now where it says so. */
static double of_thermal_service(const char *text, int wanted) {
  const char *now = strstr(text, "Current temperatures from HAL:");
  const char *end = now ? strstr(now, "Current cooling devices") : NULL;
  double hottest = NAN;
  for (const char *at = now ? now : text;
       (at = strstr(at, "Temperature{mValue=")) && (!end || at < end); at++) {
    double degc;
    int type;
    if (sscanf(at, "Temperature{mValue=%lf, mType=%d", &degc, &type) == 2 && type == wanted)
      hottest = fmax(hottest, degc);
  }
  return hottest;
}

double phone_temperature(void) {
  double found = kernel_temperature();
  if (!isnan(found)) return found;
  char *text = dumped("thermalservice");
  if (text) {
    found = of_thermal_service(text, CPU);
    if (isnan(found)) found = of_thermal_service(text, SKIN);
    free(text);
  }
  return isnan(found) ? of_battery("temperature") / 10 : found;
}

double phone_throttle(void) {
  double found = kernel_throttle();
  if (!isnan(found)) return found;
  char *text = dumped("thermalservice"), *said = text ? strstr(text, "Thermal Status: ") : NULL;
  if (said) sscanf(said, "Thermal Status: %lf", &found);
  free(text);
  return found;
}

double phone_charge(void) {
  double found = kernel_charge();
  return isnan(found) ? of_battery("level") / of_battery("scale") : found;
}

double phone_charger(void) {
  double found = kernel_charger();
  if (!isnan(found)) return found;
  char *text = dumped("battery"), *at = text;
  for (; text && (at = strstr(at, "powered: ")); at++)
    found = fmax(found, !strncmp(at, "powered: true", 13));
  free(text);
  return found;
}
