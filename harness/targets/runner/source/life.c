/* One agent process on a board, from its start to its end, whatever that is
   (harness/targets/agentlife.py, conversation.py). */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "cores.h"
#include "kernel.h"
#include "run.h"
#include "sampler.h"
#include "start.h"

static const int64_t GRACE_NS = 2 * NS_PER_S, EXIT_NS = 5 * NS_PER_S;
static const double NEAR_LIMIT = 0.9; /* of all memory: killed there, it was for memory */
enum { LOOK_EVERY_MS = 100, WORDS = 600 };

typedef struct Agent {
  pid_t pid;
  int in, out, errors;
  Text line; /* what has come of the next one */
  Text words;
  int64_t count; /* of events */
  Sha256 digest;
  bool is_done;
} Agent;

static void clean_environment(int threads) {
  static const char *const kept[] = {"PATH", "HOME", "LANG", "TMPDIR", "DUANPING_ONNXRUNTIME"};
  static const char *const pools[] = {"OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"};
  char *values[sizeof kept / sizeof *kept], number[16];
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
    const char *value = getenv(kept[i]);
    values[i] = value ? strdup(value) : NULL;
  }
  clearenv();
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
    if (values[i]) setenv(kept[i], values[i], 1);
  snprintf(number, sizeof number, "%d", threads);
  for (size_t i = 0; i < sizeof pools / sizeof *pools; i++) setenv(pools[i], number, 1);
}

static _Noreturn void be_agent(const int in[2], const int out[2], const int errors[2],
                               int threads) {
  dup2(in[0], STDIN_FILENO);
  dup2(out[1], STDOUT_FILENO);
  dup2(errors[1], STDERR_FILENO);
  cores_of_model();
  clean_environment(threads);
  static const char *const verb[] = {"agent", NULL};
  start_again(verb);
  fprintf(stderr, "The runner cannot be started: %s\n", strerror(errno));
  _exit(127);
}

static bool start_agent(Agent *agent, int threads) {
  int in[2], out[2], errors[2];
  *agent = (Agent){0};
  sha256_begin(&agent->digest);
  if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(errors, O_CLOEXEC)) return false;
  agent->pid = fork();
  if (!agent->pid) be_agent(in, out, errors, threads);
  close(in[0]);
  close(out[1]);
  close(errors[1]);
  agent->in = in[1];
  agent->out = out[0];
  agent->errors = errors[0];
  fcntl(agent->out, F_SETFL, O_NONBLOCK);
  fcntl(agent->errors, F_SETFL, O_NONBLOCK);
  return agent->pid > 0;
}

static void add_raw(Text *order, const char *name, const Json *value) {
  text_print(order, ",\"%s\":", name);
  if (value) text_add(order, value->raw, value->raw_size);
  else text_print(order, "null");
}

/* Writes the order of a task: what the job holds, as the host has written it. */
static void write_order(Text *order, const Life *life, int64_t spawned_ns) {
  const Json *job = life->job, *model = json_member(job, "model");
  text_print(order, "{\"task\":\"%s\",\"source\":\"session\",\"spawned_ns\":%" PRId64, life->task,
             spawned_ns);
  add_raw(order, "trial", json_member(job, "trial"));
  add_raw(order, "runtime", json_member(job, "runtime"));
  add_raw(order, "model_path", json_member(job, "model_path"));
  add_raw(order, "labelled", json_member(job, "labelled"));
  add_raw(order, "sha256", json_member(model, "sha256"));
  add_raw(order, "external", json_member(model, "external"));
  add_raw(order, "decoder", json_member(model, "decoder"));
  add_raw(order, "stages", json_member(model, "stages"));
  add_raw(order, "prepared", strcmp(life->task, "inspect") ? json_member(job, "prepared") : NULL);
  text_print(order, "}\n");
}

static void settle(Life *life, const char *outcome, const char *reason) {
  life->outcome.size = life->reason.size = 0;
  text_print(&life->outcome, "%s", outcome);
  text_print(&life->reason, "%s", reason);
}

static void take_event(Life *life, const Json *event) {
  const char *kind = json_text(json_member(event, "kind"));
  if (!kind) return;
  if (!strcmp(kind, "TrialEnded")) {
    const char *outcome = json_text(json_member(event, "outcome"));
    const char *reason = json_text(json_member(event, "reason"));
    settle(life, outcome ? outcome : "crashed", reason ? reason : "");
    return;
  }
  if (!strcmp(kind, "QueryBlock")) {
    const Json *column = json_member(json_member(event, "completed_ns"), "base64");
    size_t size = 0;
    free(json_base64(column, &size));
    life->queries += (int64_t)size / 8;
  }
  life->heard(life->with, kind, event);
}

/* Takes one line; false for one that is out of turn. */
static bool take_line(Life *life, Agent *agent, const char *data, size_t size) {
  JsonDocument document;
  char digest[SHA256_HEX];
  sha256_end(&agent->digest, digest);
  sha256_add(&agent->digest, data, size);
  if (!json_parse(&document, data, size, NULL)) return false;
  const Json *line = json_member(document.root, "line"),
             *event = json_member(document.root, "event");
  bool is_in_turn = true;
  if (json_is(line, "event") &&
      json_integer(json_member(document.root, "seq"), -1) == agent->count && event) {
    agent->count++;
    take_event(life, event);
  } else if (json_is(line, "done")) {
    agent->is_done = is_in_turn =
        json_integer(json_member(document.root, "count"), -1) == agent->count &&
        json_is(json_member(document.root, "sha256"), digest);
  } else {
    is_in_turn = json_is(line, "hello");
  }
  json_free(&document);
  return is_in_turn;
}

static bool take_lines(Life *life, Agent *agent) {
  size_t from = 0;
  char *end;
  while (!agent->is_done &&
         (end = memchr(agent->line.data + from, '\n', agent->line.size - from))) {
    size_t next = (size_t)(end - agent->line.data) + 1;
    if (!take_line(life, agent, agent->line.data + from, next - from)) return false;
    from = next;
  }
  memmove(agent->line.data, agent->line.data + from, agent->line.size - from);
  agent->line.size -= from;
  return true;
}

/* Reads what there is; false at the end of the agent's output. */
static bool drain(int file, Text *into) {
  static char piece[1 << 16];
  for (;;) {
    ssize_t size = read(file, piece, sizeof piece);
    if (size > 0) text_add(into, piece, (size_t)size);
    else return size < 0 && (errno == EAGAIN || errno == EINTR);
  }
}

static void take_words(Agent *agent) {
  drain(agent->errors, &agent->words);
  if (agent->words.size <= WORDS) return;
  memmove(agent->words.data, agent->words.data + agent->words.size - WORDS, WORDS);
  agent->words.size = WORDS;
}

/* Puts the end of what the agent wrote to its standard error into one line. */
static const char *last_words(Agent *agent) {
  take_words(agent);
  for (size_t i = 0; i < agent->words.size; i++)
    if (agent->words.data[i] == '\n') agent->words.data[i] = ' ';
  while (agent->words.size && agent->words.data[agent->words.size - 1] == ' ') agent->words.size--;
  text_add(&agent->words, "", 0);
  return agent->words.data;
}

static int64_t memory_limit(void) {
  static const char *const groups[] = {"/sys/fs/cgroup/memory.max",
                                       "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
  int64_t limit = kernel_memory();
  for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
    double found = number_in(groups[i]);
    if (found > 0 && found < (double)limit) limit = (int64_t)found;
  }
  return limit;
}

/* Waits a little for an agent that has closed its output; -1: it goes on without. */
static int status_of(Agent *agent) {
  int status = -1;
  for (int64_t until = now_ns() + EXIT_NS; now_ns() < until;) {
    if (waitpid(agent->pid, &status, WNOHANG) == agent->pid) {
      agent->pid = 0;
      return status;
    }
    struct timespec pause = {.tv_nsec = NS_PER_MS};
    nanosleep(&pause, NULL);
  }
  return -1;
}

/* Says how an agent ended that did not say so itself. */
static void autopsy(Life *life, Agent *agent, int64_t kills) {
  static const char *const signs[] = {"bad_alloc", "allocate memory", "Cannot allocate"};
  Text reason = {0};
  int status = status_of(agent);
  const char *words = last_words(agent), *before = *words ? ": " : "";
  bool is_short = life->sampler->peak >= NEAR_LIMIT * (double)memory_limit() ||
                  (kills >= 0 && kernel_kills() > kills);
  bool was_killed = status >= 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
    if (strstr(words, signs[i])) {
      text_print(&reason, "The process ran out of memory%s%s", before, words);
      settle(life, "out_of_memory", reason.data);
      return;
    }
  if (was_killed && is_short) {
    settle(life, "out_of_memory", "The kernel killed the process for memory");
    return;
  }
  if (status < 0)
    text_print(&reason, "The process closed its output and went on%s%s", before, words);
  else if (WIFSIGNALED(status))
    text_print(&reason, "The process was ended by SIG%s%s%s", sigabbrev_np(WTERMSIG(status)),
               before, words);
  else
    text_print(&reason, "The process ended with exit status %d%s%s", WEXITSTATUS(status), before,
               words);
  settle(life, "crashed", reason.data);
  text_free(&reason);
}

/* Ends the agent; one that does not go by itself is killed. */
static void end_agent(Agent *agent, bool is_killed) {
  close(agent->in);
  if (agent->pid > 0 && is_killed) kill(agent->pid, SIGKILL);
  int64_t until = now_ns() + GRACE_NS;
  while (agent->pid > 0 && !waitpid(agent->pid, NULL, WNOHANG)) {
    if (now_ns() > until) kill(agent->pid, SIGKILL);
    struct timespec pause = {.tv_nsec = NS_PER_MS};
    nanosleep(&pause, NULL);
  }
  close(agent->out);
  close(agent->errors);
  text_free(&agent->line);
  text_free(&agent->words);
}

/* How long an agent may rightly say nothing: idle, marks, a busy schedule. */
static int64_t patience_ns(const Json *job) {
  const Json *trial = json_member(job, "trial"), *scenario = json_member(trial, "scenario");
  int64_t window = json_integer(json_member(json_member(trial, "minimum"), "duration_ns"), 0);
  int64_t queries = json_integer(json_member(json_member(trial, "minimum"), "queries"), 0);
  int64_t longest = json_integer(json_member(trial, "baseline_ns"), 0);
  int64_t mark = json_integer(
      json_member(json_member(json_member(job, "prepared"), "preamble"), "until_ns"), 0);
  if (json_is(json_member(scenario, "kind"), "Periodic")) {
    int64_t scheduled = queries * json_integer(json_member(scenario, "period_ns"), 0);
    if (scheduled > window) window = scheduled;
  }
  if (window > longest) longest = window;
  if (mark > longest) longest = mark;
  return longest + (int64_t)(json_real(json_member(job, "silence_s"), 120) * (double)NS_PER_S);
}

/* Follows the agent to its end; true where it has to be killed. */
static bool follow_agent(Life *life, Agent *agent, int64_t kills) {
  int64_t patience = patience_ns(life->job), heard_ns = now_ns();
  for (;;) {
    struct pollfd files[2] = {{.fd = agent->out, .events = POLLIN},
                              {.fd = agent->errors, .events = POLLIN}};
    int64_t wait_ms = (sampler_take(life->sampler) - now_ns()) / NS_PER_MS + 1;
    poll(files, 2, (int)(wait_ms < 0 ? 0 : wait_ms > LOOK_EVERY_MS ? LOOK_EVERY_MS : wait_ms));
    if (files[1].revents) take_words(agent);
    if (files[0].revents) {
      bool is_open = drain(agent->out, &agent->line);
      heard_ns = now_ns();
      if (agent->line.data && !take_lines(life, agent)) {
        settle(life, "crashed", "The agent's line is not what comes next");
        return true;
      }
      if (agent->is_done) return false;
      if (!is_open) {
        autopsy(life, agent, kills);
        return false;
      }
    }
    if (sampler_is_due(life->sampler)) life->reading(life->with);
    if (watch_look(life->watch)) {
      settle(life, "interrupted", life->watch->reason);
      return true;
    }
    if (now_ns() - heard_ns > patience) {
      settle(life, "hung", "The agent said nothing for too long");
      return true;
    }
  }
}

void live(Life *life) {
  Agent agent;
  Text order = {0};
  int threads = (int)json_integer(
      json_member(json_member(json_member(life->job, "trial"), "settings"), "intra_op_threads"), 1);
  int64_t kills = kernel_kills(), spawned_ns = now_ns();
  life->queries = 0;
  settle(life, "crashed", "The agent was done without saying how it ended");
  write_order(&order, life, spawned_ns);
  if (!start_agent(&agent, threads)) {
    settle(life, "failed", "The board cannot start a process");
    return;
  }
  sampler_begin(life->sampler, agent.pid);
  bool is_killed = false;
  if (!write_all(agent.in, order.data, order.size)) autopsy(life, &agent, kills);
  else is_killed = follow_agent(life, &agent, kills);
  end_agent(&agent, is_killed);
  life->reading(life->with);
  text_free(&order);
}
