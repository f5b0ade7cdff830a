/* Counts the instructions of an emulated program: a TCG plugin of QEMU.
 *
 * QEMU calls us for each block of code that it translates, and from then on whenever
 * that block is executed; we add the block's length. Blocks of several threads may end
 * at once, so the sum is atomic. At the program's end it is written to the file that
 * the argument `out` names, and to nowhere else.
 *
 * The interface is described in QEMU's documentation, "QEMU TCG Plugins". Its four
 * functions are declared here, since no package brings the header; they are the same
 * from version 1 of the interface (QEMU 6.0) on. The version that QEMU is to be told
 * stands in API_VERSION.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct qemu_plugin_tb;

enum { NO_REGISTERS = 0 };

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id,
                                           void (*translated)(plugin_id,
                                                              struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block,
                                          void (*executed)(unsigned int, void *),
                                          int registers, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
void qemu_plugin_register_atexit_cb(plugin_id id, void (*ended)(plugin_id, void *),
                                    void *data);

EXPORT int qemu_plugin_version = API_VERSION;

static uint64_t count;
static char out[4096];
static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER;
static int is_written;

static void executed(unsigned int processor, void *length)
{
  (void)processor;
  __atomic_fetch_add(&count, (uintptr_t)length, __ATOMIC_RELAXED);
}

static void translated(plugin_id id, struct qemu_plugin_tb *block)
{
  (void)id;
  size_t length = qemu_plugin_tb_n_insns(block);
  qemu_plugin_register_vcpu_tb_exec_cb(block, executed, NO_REGISTERS, (void *)length);
}

static void write_count(void)
{
  FILE *file = fopen(out, "w");
  if (file == NULL)
    return; /* the host takes a missing count for a failure */
  fprintf(file, "%" PRIu64 "\n", __atomic_load_n(&count, __ATOMIC_RELAXED));
  fclose(file);
}

/* Two threads of a program may end it at the same instant. The second waits until the
   first has written: whichever goes on takes the process with it. */
static void ended(plugin_id id, void *data)
{
  (void)id;
  (void)data;
  pthread_mutex_lock(&writing);
  if (!is_written)
    write_count();
  is_written = 1;
  pthread_mutex_unlock(&writing);
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
  (void)info;
  static const char named[] = "out=";
  for (int i = 0; i < argc; i++)
    if (strncmp(argv[i], named, sizeof named - 1) == 0)
      snprintf(out, sizeof out, "%s", argv[i] + sizeof named - 1);
  if (out[0] == '\0') {
    fprintf(stderr, "counter: out=FILE is missing\n");
    return -1;
  }
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  qemu_plugin_register_atexit_cb(id, ended, NULL);
  return 0;
}
