#include "json.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

enum { DEEPEST = 64, CHUNK_BYTES = 1 << 16 };

struct JsonChunk {
  struct JsonChunk *next;
  size_t used, room;
  _Alignas(max_align_t) char data[];
};

typedef struct Reader {
  JsonDocument *document;
  const char *at, *end;
  const char *why;
  int depth;
} Reader;

static void *take(JsonDocument *document, size_t size) {
  size = (size + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
  struct JsonChunk *chunk = document->chunks;
  if (!chunk || chunk->room - chunk->used < size) {
    size_t room = size > CHUNK_BYTES ? size : CHUNK_BYTES;
    chunk = allocate(sizeof *chunk + room);
    chunk->room = room;
    chunk->next = document->chunks;
    document->chunks = chunk;
  }
  chunk->used += size;
  return chunk->data + chunk->used - size;
}

static bool fail(Reader *reader, const char *why) {
  if (!reader->why) reader->why = why;
  return false;
}

static void skip_blanks(Reader *reader) {
  while (reader->at < reader->end && strchr(" \t\r\n", *reader->at) && *reader->at) reader->at++;
}

static int hex4(Reader *reader) {
  int value = 0;
  if (reader->end - reader->at < 4) return -1;
  for (int i = 0; i < 4; i++) {
    int c = (unsigned char)*reader->at++;
    if (!isxdigit(c)) return -1;
    value = value * 16 + (isdigit(c) ? c - '0' : tolower(c) - 'a' + 10);
  }
  return value;
}

static char *put(char *out, uint32_t point) {
  if (point < 0x80) {
    *out++ = (char)point;
    return out;
  }
  int more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
  static const int lead[] = {0, 0xC0, 0xE0, 0xF0};
  *out++ = (char)(lead[more] | (int)(point >> (6 * more)));
  while (more--) *out++ = (char)(0x80 | (point >> (6 * more) & 0x3F));
  return out;
}

static bool read_escape(Reader *reader, char **out) {
  static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
  if (reader->at == reader->end) return fail(reader, "a string does not end");
  char name = *reader->at++;
  if (name != 'u') {
    const char *found = name ? strchr(names, name) : NULL;
    if (!found) return fail(reader, "an escape that there is not");
    *(*out)++ = values[found - names];
    return true;
  }
  int32_t point = hex4(reader);
  if (point < 0) return fail(reader, "an escape without four hex digits");
  if (point >= 0xD800 && point < 0xDC00) {
    bool is_pair = reader->end - reader->at >= 6 && reader->at[0] == '\\' && reader->at[1] == 'u';
    if (!is_pair) return fail(reader, "half a surrogate pair");
    reader->at += 2;
    int32_t low = hex4(reader);
    if (low < 0xDC00 || low > 0xDFFF) return fail(reader, "half a surrogate pair");
    point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
  } else if (point >= 0xDC00 && point < 0xE000) {
    return fail(reader, "half a surrogate pair");
  }
  *out = put(*out, (uint32_t)point);
  return true;
}

static bool read_string(Reader *reader, char **text, size_t *size) {
  const char *last = reader->at + 1;
  while (last < reader->end && *last != '"') last += *last == '\\' ? 2 : 1;
  if (last >= reader->end) return fail(reader, "a string does not end");
  char *out = *text = take(reader->document, (size_t)(last - reader->at) + 1);
  reader->at++;
  while (reader->at < last) {
    unsigned char c = (unsigned char)*reader->at;
    if (c < 0x20) return fail(reader, "a control character in a string");
    if (c == '\\') {
      reader->at++;
      if (!read_escape(reader, &out)) return false;
    } else {
      uint32_t point;
      size_t length =
          utf8_length((const unsigned char *)reader->at, (size_t)(last - reader->at), &point);
      if (!length) return fail(reader, "bytes that are no UTF-8");
      memcpy(out, reader->at, length);
      out += length;
      reader->at += length;
    }
  }
  reader->at = last + 1;
  *out = 0;
  *size = (size_t)(out - *text);
  return true;
}

static bool read_digits(Reader *reader) {
  const char *from = reader->at;
  while (reader->at < reader->end && isdigit((unsigned char)*reader->at)) reader->at++;
  return reader->at > from;
}

static bool read_number(Reader *reader) {
  if (*reader->at == '-') reader->at++;
  if (reader->at < reader->end && *reader->at == '0') {
    reader->at++;
  } else if (!read_digits(reader)) {
    return fail(reader, "a value that is none");
  }
  if (reader->at < reader->end && *reader->at == '.') {
    reader->at++;
    if (!read_digits(reader)) return fail(reader, "a number that ends in its point");
  }
  if (reader->at < reader->end && (*reader->at | 32) == 'e') {
    reader->at++;
    if (reader->at < reader->end && strchr("+-", *reader->at) && *reader->at) reader->at++;
    if (!read_digits(reader)) return fail(reader, "a number without its exponent");
  }
  return true;
}

static bool read_value(Reader *reader, Json **into);

static bool read_members(Reader *reader, Json *value, bool is_object) {
  Json **last = &value->first;
  char close = is_object ? '}' : ']';
  reader->at++;
  skip_blanks(reader);
  if (reader->at < reader->end && *reader->at == close) {
    reader->at++;
    return true;
  }
  for (;;) {
    char *key = NULL;
    size_t key_size = 0;
    skip_blanks(reader);
    if (is_object) {
      if (reader->at == reader->end || *reader->at != '"')
        return fail(reader, "a member without a name");
      if (!read_string(reader, &key, &key_size)) return false;
      skip_blanks(reader);
      if (reader->at == reader->end || *reader->at++ != ':')
        return fail(reader, "a name without a colon");
    }
    if (!read_value(reader, last)) return false;
    (*last)->key = key;
    (*last)->key_size = key_size;
    last = &(*last)->next;
    skip_blanks(reader);
    if (reader->at == reader->end) return fail(reader, "the line ends too early");
    char next = *reader->at++;
    if (next == close) return true;
    if (next != ',') return fail(reader, "two values without a comma");
  }
}

static bool read_literal(Reader *reader, Json *value, const char *name, JsonKind kind) {
  size_t size = strlen(name);
  if ((size_t)(reader->end - reader->at) < size || memcmp(reader->at, name, size))
    return fail(reader, "a value that is none");
  reader->at += size;
  value->kind = kind;
  return true;
}

static bool read_kind(Reader *reader, Json *value) {
  switch (*reader->at) {
    case '{':
    case '[':
      value->kind = *reader->at == '{' ? JSON_OBJECT : JSON_ARRAY;
      return read_members(reader, value, value->kind == JSON_OBJECT);
    case '"':
      value->kind = JSON_STRING;
      return read_string(reader, &value->text, &value->size);
    case 'n':
      return read_literal(reader, value, "null", JSON_NULL);
    case 't':
      return read_literal(reader, value, "true", JSON_TRUE);
    case 'f':
      return read_literal(reader, value, "false", JSON_FALSE);
    default:
      value->kind = JSON_NUMBER;
      return read_number(reader);
  }
}

static bool read_value(Reader *reader, Json **into) {
  skip_blanks(reader);
  if (reader->at == reader->end) return fail(reader, "the line ends too early");
  if (++reader->depth > DEEPEST) return fail(reader, "too many brackets in each other");
  Json *value = *into = take(reader->document, sizeof *value);
  value->raw = reader->at;
  if (!read_kind(reader, value)) return false;
  value->raw_size = (size_t)(reader->at - value->raw);
  reader->depth--;
  return true;
}

bool json_parse(JsonDocument *document, const char *data, size_t size, const char **why) {
  *document = (JsonDocument){0};
  Reader reader = {.document = document, .at = data, .end = data + size};
  bool is_read = read_value(&reader, &document->root);
  skip_blanks(&reader);
  if (is_read && reader.at != reader.end) is_read = fail(&reader, "more than one value");
  if (why) *why = reader.why;
  if (!is_read) json_free(document);
  return is_read;
}

void json_free(JsonDocument *document) {
  while (document->chunks) {
    struct JsonChunk *chunk = document->chunks;
    document->chunks = chunk->next;
    free(chunk);
  }
  document->root = NULL;
}

const Json *json_member(const Json *value, const char *key) {
  if (!value || value->kind != JSON_OBJECT) return NULL;
  const Json *found = NULL; /* of two with one name the last counts, as in Python */
  size_t size = strlen(key);
  for (const Json *one = value->first; one; one = one->next)
    if (one->key_size == size && !memcmp(one->key, key, size)) found = one;
  return found;
}

size_t json_count(const Json *value) {
  size_t count = 0;
  if (value)
    for (const Json *one = value->first; one; one = one->next) count++;
  return count;
}

const char *json_text(const Json *value) {
  if (!value || value->kind != JSON_STRING) return NULL;
  return strlen(value->text) == value->size ? value->text : NULL;
}

/* Copies a number out of the line, where no NUL follows it. */
static bool number_of(const Json *value, char *into, size_t room) {
  if (!value || value->kind != JSON_NUMBER || value->raw_size >= room) return false;
  memcpy(into, value->raw, value->raw_size);
  into[value->raw_size] = 0;
  return true;
}

int64_t json_integer(const Json *value, int64_t otherwise) {
  char number[40], *end;
  if (!number_of(value, number, sizeof number)) return otherwise;
  errno = 0;
  long long found = strtoll(number, &end, 10);
  return *end || errno ? otherwise : found;
}

double json_real(const Json *value, double otherwise) {
  char number[400];
  return number_of(value, number, sizeof number) ? strtod(number, NULL) : otherwise;
}

bool json_is(const Json *value, const char *text) {
  const char *found = json_text(value);
  return found && !strcmp(found, text);
}

static int sextet(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

unsigned char *json_base64(const Json *value, size_t *size) {
  const char *text = json_text(value);
  if (!text || value->size % 4) return NULL;
  size_t end = value->size, padding = 0;
  while (padding < 2 && end && text[end - 1] == '=') end--, padding++;
  unsigned char *data = allocate(value->size / 4 * 3 + 1), *out = data;
  uint32_t bits = 0;
  for (size_t i = 0; i < end; i++) {
    int six = sextet(text[i]);
    if (six < 0) {
      free(data);
      return NULL;
    }
    bits = bits << 6 | (uint32_t)six;
    if (i % 4) *out++ = (unsigned char)(bits >> (6 - 2 * (i % 4)));
  }
  *size = (size_t)(out - data);
  return data;
}
