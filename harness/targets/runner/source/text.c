#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void abandon(size_t wanted) {
  fprintf(stderr, "Cannot allocate memory: %zu bytes\n", wanted);
  exit(1);
}

void (*out_of_memory)(size_t) = abandon;

void *allocate(size_t size) {
  void *data = calloc(1, size ? size : 1);
  if (!data) out_of_memory(size);
  return data;
}

void *enlarge(void *data, size_t size) {
  void *larger = realloc(data, size ? size : 1);
  if (!larger) out_of_memory(size);
  return larger;
}

void text_reserve(Text *text, size_t room) {
  if (room < text->room) return;
  size_t next = text->room * 2 > room + 1 ? text->room * 2 : room + 1;
  text->data = enlarge(text->data, next);
  text->room = next;
}

void text_add(Text *text, const void *data, size_t size) {
  text_reserve(text, text->size + size);
  if (size) memcpy(text->data + text->size, data, size);
  text->size += size;
  text->data[text->size] = 0;
}

void text_print_list(Text *text, const char *format, va_list list) {
  va_list again;
  va_copy(again, list);
  int size = vsnprintf(NULL, 0, format, list);
  if (size >= 0) {
    text_reserve(text, text->size + (size_t)size);
    vsnprintf(text->data + text->size, (size_t)size + 1, format, again);
    text->size += (size_t)size;
  }
  va_end(again);
}

void text_print(Text *text, const char *format, ...) {
  va_list list;
  va_start(list, format);
  text_print_list(text, format, list);
  va_end(list);
}

size_t utf8_length(const unsigned char *at, size_t left, uint32_t *point) {
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  size_t size = at[0] < 0x80   ? 1
                : at[0] < 0xC2 ? 0
                : at[0] < 0xE0 ? 2
                : at[0] < 0xF0 ? 3
                : at[0] < 0xF5 ? 4
                               : 0;
  if (!size || size > left) return 0;
  *point = size == 1 ? at[0] : at[0] & (0xFFu >> (size + 1));
  for (size_t i = 1; i < size; i++) {
    if ((at[i] & 0xC0) != 0x80) return 0;
    *point = *point << 6 | (at[i] & 0x3F);
  }
  bool is_surrogate = *point >= 0xD800 && *point < 0xE000;
  return *point < least[size] || *point > 0x10FFFF || is_surrogate ? 0 : size;
}

static void escape(Text *text, uint32_t point) {
  if (point >= 0x10000) {
    point -= 0x10000;
    text_print(text, "\\u%04x\\u%04x", 0xD800 + (point >> 10), 0xDC00 + (point & 0x3FF));
  } else {
    text_print(text, "\\u%04x", point);
  }
}

void text_string(Text *text, const char *data, size_t size) {
  const unsigned char *at = (const unsigned char *)data, *end = at + size;
  text_add(text, "\"", 1);
  while (at < end) {
    uint32_t point = 0;
    size_t length = utf8_length(at, (size_t)(end - at), &point);
    if (!length) { /* as Python's errors="replace" does with a byte that is no text */
      point = 0xFFFD;
      length = 1;
    }
    if (point == '"' || point == '\\') {
      text_print(text, "\\%c", (int)point);
    } else if (point >= 0x20 && point < 0x7F) {
      text_add(text, at, 1);
    } else {
      escape(text, point);
    }
    at += length;
  }
  text_add(text, "\"", 1);
}

void text_word(Text *text, const char *word) { text_string(text, word, strlen(word)); }

void text_real(Text *text, double value) {
  char shown[40];
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(shown, sizeof shown, "%.*g", digits, value);
    if (strtod(shown, NULL) == value) break;
  }
  text_print(text, strpbrk(shown, ".en") ? "%s" : "%s.0", shown);
}

void text_base64(Text *text, const void *data, size_t size) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const unsigned char *in = data;
  text_reserve(text, text->size + (size + 2) / 3 * 4);
  char *out = text->data + text->size;
  for (size_t i = 0; i < size; i += 3) {
    uint32_t bits = (uint32_t)in[i] << 16;
    if (i + 1 < size) bits |= (uint32_t)in[i + 1] << 8;
    if (i + 2 < size) bits |= in[i + 2];
    *out++ = letters[bits >> 18];
    *out++ = letters[bits >> 12 & 63];
    *out++ = i + 1 < size ? letters[bits >> 6 & 63] : '=';
    *out++ = i + 2 < size ? letters[bits & 63] : '=';
  }
  *out = 0;
  text->size = (size_t)(out - text->data);
}

void text_list(Text *text, const char *name, const int64_t *list, size_t count) {
  text_print(text, ",\"%s\":[", name);
  for (size_t i = 0; i < count; i++) text_print(text, "%s%" PRId64, i ? "," : "", list[i]);
  text_add(text, "]", 1);
}

void text_array(Text *text, char code, const void *data, size_t items) {
  text_print(text, "{\"array\":\"%c\",\"base64\":\"", code);
  text_base64(text, data, 8 * items);
  text_add(text, "\"}", 2);
}

void text_free(Text *text) {
  free(text->data);
  *text = (Text){0};
}
