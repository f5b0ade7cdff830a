/* Which cores are the model's and which everybody else's (harness/targets/apart.py). */
#ifndef DUANPING_CORES_H
#define DUANPING_CORES_H

/* Divides the cores that this process may use, and keeps it to those that are not the
   model's, where there are any. */
void cores_share(int threads);
void cores_of_model(void); /* keeps this process to the model's */

#endif
