/* Files whose lock says that something is going on (harness/targets/board/lock.py). */
#ifndef DUANPING_LOCK_H
#define DUANPING_LOCK_H

#include <stdbool.h>

/* Makes a folder and those above it. False with errno. */
bool make_folders(const char *path);
char *joined(const char *folder, const char *name); /* to be freed */
char *read_text(const char *path);                  /* whole; NULL: not readable; to be freed */
bool write_text(const char *path, const char *text);
void remove_folder(const char *path);

/* Opens a file and locks it; -1 with errno, EWOULDBLOCK where somebody else has it. */
int locked(const char *path);
bool is_locked(const char *path);

/* Has the board busy with a run of whoever holds it: gives what keeps it so, or -1. */
int busy_for(const char *base);

#endif
