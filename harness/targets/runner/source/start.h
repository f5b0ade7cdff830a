/* The command that this very process was started by, to start another one like it. */
#ifndef DUANPING_START_H
#define DUANPING_START_H

/* Takes note of the command, whose last `words` are the verb and what follows it. */
void start_noted(int words);

/* Becomes the runner anew with another verb; returns only where that fails. */
void start_again(const char *const *words);

#endif
