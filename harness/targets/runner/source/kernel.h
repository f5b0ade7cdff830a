/* What a Linux kernel says of its own machine in /proc and /sys, and on a phone what
   Android's services say where the kernel is closed (harness/meters/kernel.py,
   harness/targets/board/android.py). NAN, NULL or -1: it is not said. */
#ifndef DUANPING_KERNEL_H
#define DUANPING_KERNEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "text.h"

/* The first line of a file, without blanks at its ends; NULL: not readable. To be freed. */
char *first_line(const char *path);
double number_in(const char *path);

/* Calls `each` for the files that match, in order. */
void each_file(const char *pattern, void (*each)(const char *path, void *with), void *with);

double kernel_temperature(void); /* of the processor, else the hottest zone, in degC */
double kernel_frequency(void);   /* mean over the cores, in Hz */
double kernel_throttle(void);    /* 0: not held back */
double kernel_charge(void);      /* of the battery, 0 … 1 */
double kernel_charger(void);     /* 1: on, 0: off */
double kernel_load(void);
bool kernel_ticks(double *busy, double *all);
char *kernel_governor(void); /* names, a comma between them */
char *kernel_boot(void);
int64_t kernel_memory(void);
int64_t kernel_kills(void); /* processes killed for memory since the start */
double process_resident(pid_t pid);
double process_seconds(pid_t pid);

/* The same, with what a phone's services say where the kernel does not. */
double phone_temperature(void);
double phone_throttle(void);
double phone_charge(void);
double phone_charger(void);

/* What a command prints; NULL where it is not there, fails or hangs. To be freed. */
char *said_by(const char *const *command);

#endif
