/* SHA-256 (FIPS 180-4). */
#ifndef DUANPING_SHA256_H
#define DUANPING_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Sha256 {
  uint32_t state[8];
  uint64_t size;
  unsigned char block[64];
} Sha256;

enum { SHA256_HEX = 65 }; /* with its NUL */

void sha256_begin(Sha256 *digest);
void sha256_add(Sha256 *digest, const void *data, size_t size);
void sha256_end(const Sha256 *digest, char hex[SHA256_HEX]); /* may go on afterwards */
bool sha256_add_file(Sha256 *digest, const char *path);      /* false: not readable */

#endif
