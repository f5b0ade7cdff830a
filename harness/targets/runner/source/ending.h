/* How an agent ends where it cannot go on: with an event, never in silence. */
#ifndef DUANPING_ENDING_H
#define DUANPING_ENDING_H

#include <stdbool.h>

/* Says how the trial ended, and that this was all, and ends the process. */
_Noreturn void end_trial(const char *outcome, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Called before the process ends so; NULL: nothing is to be put away. */
extern void (*before_end)(void);

bool is_memory_short(const char *said);

#endif
