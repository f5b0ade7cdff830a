#include "lock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "board.h"
#include "json.h"
#include "voice.h"

char *joined(const char *folder, const char *name) {
  Text path = {0};
  text_print(&path, "%s/%s", folder, name);
  return path.data;
}

bool make_folders(const char *path) {
  char *own = strdup(path);
  bool is_made = true;
  for (char *at = own + 1; is_made; at++) {
    if (*at && *at != '/') continue;
    char end = *at;
    *at = 0;
    is_made = !mkdir(own, 0755) || errno == EEXIST;
    *at = end;
    if (!end) break;
  }
  free(own);
  return is_made;
}

char *read_text(const char *path) {
  char piece[4096];
  Text text = {0};
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return NULL;
  text_reserve(&text, 1);
  text.data[0] = 0;
  for (ssize_t size; (size = read(file, piece, sizeof piece)) > 0;)
    text_add(&text, piece, (size_t)size);
  close(file);
  return text.data;
}

static bool write_over(int file, const char *text) {
  return !ftruncate(file, 0) && lseek(file, 0, SEEK_SET) == 0 &&
         write_all(file, text, strlen(text));
}

bool write_text(const char *path, const char *text) {
  int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return false;
  bool is_written = write_all(file, text, strlen(text));
  return !close(file) && is_written;
}

void remove_folder(const char *path) {
  DIR *folder = opendir(path);
  for (struct dirent *entry; folder && (entry = readdir(folder));) {
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
    char *inner = joined(path, entry->d_name);
    struct stat found;
    if (!lstat(inner, &found) && S_ISDIR(found.st_mode)) remove_folder(inner);
    else unlink(inner);
    free(inner);
  }
  if (folder) closedir(folder);
  rmdir(path);
}

int locked(const char *path) {
  int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0 || !flock(file, LOCK_EX | LOCK_NB)) return file;
  int reason = errno;
  close(file);
  errno = reason;
  return -1;
}

bool is_locked(const char *path) {
  int file = locked(path);
  if (file < 0) return errno == EWOULDBLOCK;
  close(file);
  return false;
}

/* A text field of a small file of JSON; NULL: none. To be freed. */
static char *field_of(const char *path, const char *name) {
  char *text = read_text(path), *found = NULL;
  JsonDocument document;
  if (text && json_parse(&document, text, strlen(text), NULL)) {
    const char *value = json_text(json_member(document.root, name));
    found = value ? strdup(value) : NULL;
    json_free(&document);
  }
  free(text);
  return found;
}

int busy_for(const char *base) {
  char *path = joined(base, "busy"), *holder = joined(base, "lock");
  int file = locked(path);
  int reason = errno;
  if (file >= 0) {
    char *text = read_text(holder);
    write_over(file, text && *text ? text : "{}");
    free(text);
  }
  free(path);
  free(holder);
  errno = reason;
  return file;
}

static int say_held(char *by, const char *otherwise) {
  Text line = speak("held");
  text_print(&line, ",\"by\":");
  text_word(&line, by ? by : otherwise);
  free(by);
  return tell(&line);
}

/* Removes what runs left whose host never came back; ours may yet be collected. */
static void sweep(const char *runs, const char *token) {
  DIR *folder = opendir(runs);
  for (struct dirent *entry; folder && (entry = readdir(folder));) {
    if (entry->d_name[0] == '.' || !strncmp(entry->d_name, token, strlen(token))) continue;
    char *run = joined(runs, entry->d_name), *alive = joined(run, "alive");
    if (!is_locked(alive)) remove_folder(run);
    free(alive);
    free(run);
  }
  if (folder) closedir(folder);
}

int hold(const char *base, const char *token, const char *holder) {
  char *path = joined(base, "lock"), *busy = joined(base, "busy"), *runs = joined(base, "runs");
  if (!make_folders(base)) {
    fprintf(stderr, "%s: %s\n", base, strerror(errno));
    return NOT_SAID;
  }
  int file = locked(path);
  if (file < 0) return say_held(field_of(path, "holder"), "another lab");
  char *busy_token = field_of(busy, "token");
  bool is_ours = busy_token && !strcmp(busy_token, token);
  free(busy_token);
  if (is_locked(busy) && !is_ours) return say_held(field_of(busy, "holder"), "another lab");
  Text said = {0};
  text_print(&said, "{\"token\":");
  text_word(&said, token);
  text_print(&said, ",\"holder\":");
  text_word(&said, holder);
  text_print(&said, "}");
  write_over(file, said.data);
  sweep(runs, token);
  Text line = speak("holds");
  tell(&line);
  char taken[4096];
  while (read(STDIN_FILENO, taken, sizeof taken) > 0) {
  }
  return SAID;
}
