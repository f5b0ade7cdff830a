/* One order, carried out: every failure ends as an event, never as silence. */
#ifndef DUANPING_AGENT_H
#define DUANPING_AGENT_H

enum { LEASE_ENDED = 3, NO_ORDER = 2 };

/* Serves one order between standard input and output; gives the exit status. */
int agent(const char *library);

#endif
