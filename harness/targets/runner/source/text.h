/* A buffer of text that grows, and what is written to it: JSON, base64. */
#ifndef DUANPING_TEXT_H
#define DUANPING_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Text {
  char *data; /* always ends in NUL, which `size` does not count */
  size_t size, room;
} Text;

/* Called where memory does not suffice; must not return. */
extern void (*out_of_memory)(size_t wanted);

void *allocate(size_t size);            /* zeroed; never NULL */
void *enlarge(void *data, size_t size); /* never NULL */

void text_reserve(Text *text, size_t room);
void text_add(Text *text, const void *data, size_t size);
void text_print(Text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_print_list(Text *text, const char *format, va_list list);
void text_string(Text *text, const char *data, size_t size); /* with quotes */
void text_word(Text *text, const char *word);                /* the same, of a C string */
void text_real(Text *text, double value); /* shortest form that reads back the same */
void text_base64(Text *text, const void *data, size_t size);
void text_array(Text *text, char code, const void *data, size_t items);          /* 8 bytes each */
void text_list(Text *text, const char *name, const int64_t *list, size_t count); /* ,"name":[…] */
void text_free(Text *text);

/* How many bytes the UTF-8 character at `at` has, and which it is; 0: it is none. */
size_t utf8_length(const unsigned char *at, size_t left, uint32_t *point);

#endif
