/* The search for a server's highest rate: schedules of a Poisson process, how many late
   queries still show a percentile, and which rate is tried next (harness/loadgen/
   arrivals.py, earlystop.py, search.py). */
#ifndef DUANPING_SERVER_H
#define DUANPING_SERVER_H

#include "order.h"

typedef struct Pcg { /* PCG64: M. E. O'Neill, HMC-CS-2014-0905; its state of 128 bits */
  uint64_t high, low, step_high, step_low;
} Pcg;

typedef struct Ziggurat { /* tables of G. Marsaglia and W. W. Tsang, JSS 5 (8), 2000 */
  const int64_t *bounds;
  const double *widths, *heights;
} Ziggurat;

typedef struct Search {
  double rate_hz, tolerance, floor_hz, kept_hz, missed_hz; /* 0: none yet */
  int probe;
} Search;

typedef struct Server {
  int64_t bound_ns;
  double percentile, tolerance;
  int64_t needed_queries;
  Pcg *generators; /* of each probe */
  int probes;
  Ziggurat ziggurat;
} Server;

bool server_read(const Order *order, Server *server);
Search search_begin(double back_to_back_hz, double tolerance);
bool search_is_over(const Search *search, const Server *server);
void search_take(Search *search, bool is_kept);
int64_t allowed_late(int64_t queries, double percentile);
/* Draws instants in ns from 0 on; ends with the first at which both minima are met. */
int64_t *arrivals(double rate_hz, int64_t queries, int64_t duration_ns, Pcg generator,
                  const Ziggurat *ziggurat, size_t *count);

#endif
