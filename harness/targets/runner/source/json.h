/* JSON (RFC 8259), read: one line at a time, into a tree that is freed at once. */
#ifndef DUANPING_JSON_H
#define DUANPING_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
  JSON_NULL,
  JSON_FALSE,
  JSON_TRUE,
  JSON_NUMBER,
  JSON_STRING,
  JSON_ARRAY,
  JSON_OBJECT
} JsonKind;

typedef struct Json {
  JsonKind kind;
  const char *raw; /* where the value stands in the line */
  size_t raw_size;
  char *text; /* of a string: UTF-8 and a NUL */
  size_t size;
  char *key; /* of a member of an object */
  size_t key_size;
  struct Json *first, *next;
} Json;

typedef struct JsonDocument {
  Json *root;
  struct JsonChunk *chunks;
} JsonDocument;

/* Reads a whole line. False for what is no JSON, with `why` set. The line must stay
   where it is for as long as the document is used. */
bool json_parse(JsonDocument *document, const char *data, size_t size, const char **why);
void json_free(JsonDocument *document);

/* Each gives NULL, or what is given as `otherwise`, where there is no such thing; a
   value that is NULL has no members. */
const Json *json_member(const Json *value, const char *key);
size_t json_count(const Json *value);
const char *json_text(const Json *value); /* NULL also where a NUL stands in it */
int64_t json_integer(const Json *value, int64_t otherwise);
double json_real(const Json *value, double otherwise);
bool json_is(const Json *value, const char *text);

/* Decodes base64; NULL for anything else. To be freed. */
unsigned char *json_base64(const Json *value, size_t *size);

#endif
