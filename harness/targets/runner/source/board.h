/* The verbs of a board: what runs beside the agents of a trial (harness/targets/board). */
#ifndef DUANPING_BOARD_H
#define DUANPING_BOARD_H

#include "text.h"

enum { SAID = 0, NOT_SAID = 1 };

/* Begins a line of the board's own; `tell` ends and says it. */
Text speak(const char *kind);
int tell(Text *line);
int refuse(const char *reason);

int facts(const char *library);
int digest(char **files, int count);
int tell_time(void);
int hold(const char *base, const char *token, const char *holder);
int conditions(const char *base);
int begin_run(const char *base, const char *folder);
int follow(const char *folder, const char *offset);

#endif
