/* The relay: gives the host a run's journal, from any place in it, as it grows
   (harness/targets/board/relay.py). It lives as long as its link does and no longer. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "board.h"
#include "clock.h"
#include "kernel.h"
#include "lock.h"
#include "run.h"

static const int64_t BEAT_NS = 2 * NS_PER_S;
enum { LOOK_EVERY_MS = 50, PIECE_BYTES = 1 << 16 };

static void touch(const char *path) {
  int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) return; /* the run was taken */
  futimens(file, NULL);
  close(file);
}

/* Takes what the host says within that time; false once the link is closed. */
static bool hear_host(const RunFolder *folder, int wait_ms) {
  static char words[4096 + 1];
  struct pollfd host = {.fd = STDIN_FILENO, .events = POLLIN};
  if (poll(&host, 1, wait_ms) <= 0) return true;
  ssize_t size = read(STDIN_FILENO, words, sizeof words - 1);
  if (size <= 0) return false;
  words[size] = 0;
  if (strstr(words, "stop")) touch(folder->stop);
  if (strstr(words, "taken")) {
    remove_folder(folder->path);
    return false;
  }
  touch(folder->lease);
  return true;
}

/* Says why the journal may end without ``done``. */
static void ending(const RunFolder *folder, Text *reason) {
  char *last = read_text(folder->last), *boot = read_text(folder->boot), *now = kernel_boot();
  char *errors = read_text(folder->errors);
  size_t size = last ? strlen(last) : 0, end = errors ? strlen(errors) : 0;
  while (size && last[size - 1] == ' ') last[--size] = 0;
  while (end && errors[end - 1] == '\n') errors[--end] = 0;
  char *line = end ? strrchr(errors, '\n') : NULL;
  if (size) text_print(reason, "%s", last);
  else if (boot && strcmp(boot, now))
    text_print(reason, "The board was started again in the middle of the trial");
  else
    text_print(reason, "The keeper of the trial was ended on the board%s%s", end ? ": " : "",
               line  ? line + 1
               : end ? errors
                     : "");
  free(last);
  free(boot);
  free(now);
  free(errors);
}

static int say_over(const RunFolder *folder) {
  Text line = speak("over"), reason = {0};
  ending(folder, &reason);
  text_print(&line, ",\"reason\":");
  text_word(&line, reason.data);
  text_free(&reason);
  return tell(&line);
}

/* Gives whole lines only: a keeper that is killed leaves half a one. */
static bool pass_on(int journal, Text *torn) {
  static char piece[PIECE_BYTES];
  ssize_t size = read(journal, piece, sizeof piece);
  if (size <= 0) return false;
  text_add(torn, piece, (size_t)size);
  size_t whole = torn->size;
  while (whole && torn->data[whole - 1] != '\n') whole--;
  write_all(STDOUT_FILENO, torn->data, whole);
  memmove(torn->data, torn->data + whole, torn->size - whole);
  torn->size -= whole;
  return true;
}

int relay(const RunFolder *folder, int64_t offset) {
  Text line = speak("relay"), torn = {0};
  text_print(&line, ",\"offset\":%" PRId64, offset);
  tell(&line);
  int journal = open(folder->journal, O_RDONLY | O_CLOEXEC);
  if (journal < 0 || lseek(journal, (off_t)offset, SEEK_SET) < 0) return NOT_SAID;
  int64_t beat_ns = now_ns() + BEAT_NS;
  bool is_open = true;
  while (is_open) {
    bool has_ended = !is_locked(folder->alive); /* before the read: nothing is lost */
    if (pass_on(journal, &torn)) {
      beat_ns = now_ns() + BEAT_NS;
      is_open = hear_host(folder, 0);
      continue;
    }
    if (has_ended) break;
    if (now_ns() >= beat_ns) {
      Text beat = speak("beat");
      tell(&beat);
      beat_ns = now_ns() + BEAT_NS;
    }
    is_open = hear_host(folder, LOOK_EVERY_MS);
  }
  close(journal);
  if (is_open) say_over(folder);
  while (is_open) is_open = hear_host(folder, -1);
  return SAID;
}

int follow(const char *path, const char *offset) {
  RunFolder folder = run_folder(path);
  struct stat found;
  if (stat(folder.journal, &found)) return refuse("The run's journal is no longer on the board");
  return relay(&folder, strtoll(offset, NULL, 10));
}
