/* What the runtime made of a model: integer kernels, and nodes on each provider. */
#ifndef DUANPING_INSPECT_H
#define DUANPING_INSPECT_H

#include "order.h"
#include "voice.h"

void inspect(const Order *order, Voice *voice);

/* Counts the convolutions and matrix products of a serialised model, those in integers
   and all; false for bytes that are no model. */
bool count_kernels(const unsigned char *model, size_t size, int64_t *quantised, int64_t *all);

#endif
