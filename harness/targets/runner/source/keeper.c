/* The keeper: executes one trial on the board, detached from whoever asked for it
   (harness/targets/board/keeper.py, harness/targets/performing.py). */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "board.h"
#include "clock.h"
#include "cores.h"
#include "kernel.h"
#include "lines.h"
#include "lock.h"
#include "run.h"
#include "sampler.h"

enum { LAST_BYTES = 512, STARTS_AT_MOST = 30 };
static const int64_t LOOK_EVERY_NS = 250 * NS_PER_MS;

RunFolder run_folder(const char *path) {
  return (RunFolder){.path = path,
                     .journal = joined(path, "journal.ndjson"),
                     .alive = joined(path, "alive"),
                     .lease = joined(path, "lease"),
                     .stop = joined(path, "stop"),
                     .last = joined(path, "last"),
                     .boot = joined(path, "boot"),
                     .errors = joined(path, "errors")};
}

static int64_t touched_ns(const char *path) {
  struct stat found;
  return stat(path, &found) ? 0 : (int64_t)found.st_mtim.tv_sec * NS_PER_S + found.st_mtim.tv_nsec;
}

void watch_open(Watch *watch, const RunFolder *folder, double lease_s) {
  *watch = (Watch){.folder = folder,
                   .lease_s = lease_s,
                   .seen = touched_ns(folder->lease),
                   .heard_ns = now_ns()};
}

const char *watch_look(Watch *watch) {
  int64_t now = now_ns();
  if (*watch->reason) return watch->reason;
  if (now < watch->look_ns) return NULL;
  watch->look_ns = now + LOOK_EVERY_NS;
  int64_t touched = touched_ns(watch->folder->lease);
  if (touched != watch->seen) {
    watch->seen = touched;
    watch->heard_ns = now;
  }
  if (!access(watch->folder->stop, F_OK)) snprintf(watch->reason, sizeof watch->reason, "Ctrl-C");
  else if ((double)(now - watch->heard_ns) > watch->lease_s * 1e9)
    snprintf(watch->reason, sizeof watch->reason,
             "Nothing was heard of the host for %g s, so the board ended the run", watch->lease_s);
  return *watch->reason ? watch->reason : NULL;
}

typedef struct Checks { /* of outputs, summed over cold starts */
  int64_t compared, differing, non_finite, strays;
  char sha256[SHA256_HEX];
  bool is_any;
} Checks;

typedef struct Keeper {
  const Json *job;
  const RunFolder *folder;
  Voice voice;
  Watch watch;
  Sampler sampler;
  Life life;
  Text inspected; /* fields of ModelLoaded that an inspection has found */
  Text not_inspected;
  int start; /* number of the cold start */
  bool is_cold;
  Checks checks;
  int64_t queries;
} Keeper;

/* Leaves the reason where the journal takes no more, and ends. */
static void require_said(Keeper *keeper, bool is_said) {
  if (is_said) return;
  char words[LAST_BYTES + 1];
  snprintf(words, sizeof words, "%-*s", LAST_BYTES, "");
  int size =
      snprintf(words, sizeof words, "The board cannot write its journal: %s", strerror(errno));
  if (size > 0 && size < LAST_BYTES) memset(words + size, ' ', (size_t)(LAST_BYTES - size));
  int file =
      open(keeper->folder->last, O_WRONLY | O_CLOEXEC); /* in place: a full disk has no more room */
  write_all(file, words, LAST_BYTES);
  exit(NOT_SAID); /* the agent's standard input closes, and it ends */
}

static void note_inspected(Text *into, const Json *event) {
  static const char *const fields[] = {"quantised_nodes", "quantisable_nodes", "placement"};
  into->size = 0;
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    const Json *value = json_member(event, fields[i]);
    text_print(into, ",\"%s\":%.*s", fields[i], value ? (int)value->raw_size : 4,
               value ? value->raw : "null");
  }
}

static void hear_inspection(void *with, const char *kind, const Json *event) {
  Keeper *keeper = with;
  if (!strcmp(kind, "ModelLoaded")) note_inspected(&keeper->inspected, event);
}

static void pass_by(void *with) { (void)with; }

static void give_readings(void *with) {
  Keeper *keeper = with;
  sampler_give(&keeper->sampler, &keeper->voice);
}

static void say_loaded(Keeper *keeper, const Json *event) {
  if (!keeper->inspected.size) {
    require_said(keeper, voice_note(&keeper->voice, "inspection", keeper->not_inspected.data));
    require_said(keeper, voice_repeat(&keeper->voice, event->raw, event->raw_size));
    return;
  }
  const char *sha256 = json_text(json_member(event, "sha256"));
  text_print(voice_event(&keeper->voice, "ModelLoaded"),
             ",\"sha256\":\"%s\",\"load_ns\":%" PRId64 "%s", sha256 ? sha256 : "",
             json_integer(json_member(event, "load_ns"), 0), keeper->inspected.data);
  require_said(keeper, voice_say(&keeper->voice));
}

static void add_check(Checks *checks, const Json *event) {
  const char *sha256 = json_text(json_member(event, "sha256"));
  if (!checks->is_any) snprintf(checks->sha256, sizeof checks->sha256, "%s", sha256 ? sha256 : "");
  checks->is_any = true;
  checks->strays += !sha256 || strcmp(sha256, checks->sha256) != 0;
  checks->compared += json_integer(json_member(event, "compared"), 0);
  checks->differing += json_integer(json_member(event, "differing"), 0);
  checks->non_finite += json_integer(json_member(event, "non_finite"), 0);
}

/* Takes an event of the trial; of the facts of cold starts those of the first. */
static void hear(void *with, const char *kind, const Json *event) {
  Keeper *keeper = with;
  bool is_fact =
      !strcmp(kind, "ModelLoaded") || !strcmp(kind, "MemoryMeasured") || !strcmp(kind, "Noted");
  if (keeper->is_cold && !strcmp(kind, "OutputsChecked")) {
    add_check(&keeper->checks, event);
  } else if (keeper->start > 0 && is_fact) {
    return;
  } else if (!strcmp(kind, "ModelLoaded")) {
    say_loaded(keeper, event);
  } else {
    require_said(keeper, voice_repeat(&keeper->voice, event->raw, event->raw_size));
  }
}

static void let_live(Keeper *keeper, const char *task,
                     void (*heard)(void *, const char *, const Json *), void (*reading)(void *)) {
  keeper->life.task = task;
  keeper->life.heard = heard;
  keeper->life.reading = reading;
  live(&keeper->life);
}

static bool has_ended_as(const Keeper *keeper, const char *outcome) {
  return !strcmp(keeper->life.outcome.data, outcome);
}

static void inspect_first(Keeper *keeper) {
  const Json *known = json_member(keeper->job, "inspected");
  if (known && known->kind == JSON_OBJECT) {
    note_inspected(&keeper->inspected, known);
    return;
  }
  let_live(keeper, "inspect", hear_inspection, pass_by);
  text_print(&keeper->not_inspected, "%s", keeper->life.reason.data);
}

static void start_again_and_again(Keeper *keeper, int64_t starts) {
  for (keeper->start = 0; keeper->start < starts; keeper->start++) {
    let_live(keeper, "start", hear, give_readings);
    keeper->queries += keeper->life.queries;
    if (!has_ended_as(keeper, "done")) break;
  }
  const Checks *checks = &keeper->checks;
  if (!checks->is_any) return;
  text_print(voice_event(&keeper->voice, "OutputsChecked"),
             ",\"compared\":%" PRId64 ",\"differing\":%" PRId64 ",\"non_finite\":%" PRId64
             ",\"sha256\":\"%s\"",
             checks->compared,
             checks->strays > checks->differing ? checks->strays : checks->differing,
             checks->non_finite, checks->sha256);
  require_said(keeper, voice_say(&keeper->voice));
}

static void execute(Keeper *keeper) {
  const Json *trial = json_member(keeper->job, "trial");
  int64_t starts = json_integer(json_member(json_member(trial, "minimum"), "queries"), 1);
  keeper->is_cold = json_is(json_member(json_member(trial, "scenario"), "kind"), "ColdStart");
  inspect_first(keeper);
  if (keeper->life.outcome.size && has_ended_as(keeper, "interrupted")) return;
  if (keeper->is_cold) {
    start_again_and_again(keeper, starts < STARTS_AT_MOST ? starts : STARTS_AT_MOST);
    return;
  }
  let_live(keeper, "measure", hear, give_readings);
  keeper->queries = keeper->life.queries;
}

void keep(const Json *job, const RunFolder *folder) {
  static Keeper keeper;
  const char *trial = json_text(json_member(json_member(job, "trial"), "id"));
  int journal = open(folder->journal, O_WRONLY | O_APPEND | O_CLOEXEC);
  keeper.job = job;
  keeper.folder = folder;
  watch_open(&keeper.watch, folder, json_real(json_member(job, "lease_s"), 60));
  keeper.life =
      (Life){.job = job, .watch = &keeper.watch, .sampler = &keeper.sampler, .with = &keeper};
  voice_open(&keeper.voice, journal, trial ? trial : "");
  char pid[32], *boot = kernel_boot();
  snprintf(pid, sizeof pid, "%ld", (long)getpid());
  const char *const facts[][2] = {
      {"pid", pid}, {"clock", "board"}, {"boot", boot}, {"agent", "C runner"}, {NULL, NULL}};
  voice_hello(&keeper.voice, facts);
  text_print(voice_event(&keeper.voice, "TrialStarted"), ",\"clock\":\"board\"");
  require_said(&keeper, voice_say(&keeper.voice));
  execute(&keeper);
  Text *event = voice_event(&keeper.voice, "TrialEnded");
  text_print(event,
             ",\"outcome\":\"%s\",\"queries\":%" PRId64 ",\"reason\":", keeper.life.outcome.data,
             keeper.queries);
  text_word(event, keeper.life.reason.data);
  require_said(&keeper, voice_say(&keeper.voice));
  require_said(&keeper, voice_done(&keeper.voice));
}

/* Leaves the session of whoever started us; errors go to a file. */
static void become_daemon(const RunFolder *folder) {
  setsid();
  signal(SIGHUP, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  int nothing = open("/dev/null", O_RDWR);
  int errors = open(folder->errors, O_WRONLY | O_CREAT, 0600);
  dup2(nothing, STDIN_FILENO);
  dup2(nothing, STDOUT_FILENO);
  dup2(errors, STDERR_FILENO);
}

static bool make_files(const RunFolder *folder) {
  char blanks[LAST_BYTES + 1], *boot = kernel_boot();
  snprintf(blanks, sizeof blanks, "%-*s", LAST_BYTES, "");
  bool is_made = make_folders(folder->path) && write_text(folder->last, blanks) &&
                 write_text(folder->boot, boot) && write_text(folder->lease, "") &&
                 write_text(folder->journal, "");
  free(boot);
  return is_made;
}

static int refuse_for(const char *what) {
  Text reason = {0};
  text_print(&reason, "The board cannot start a run: %s: %s", what, strerror(errno));
  int status = refuse(reason.data);
  text_free(&reason);
  return status;
}

static int threads_of(const Json *job) {
  const Json *settings = json_member(json_member(job, "trial"), "settings");
  return (int)json_integer(json_member(settings, "intra_op_threads"), 1);
}

int begin_run(const char *base, const char *path) {
  RunFolder folder = run_folder(path);
  JsonDocument job;
  Text line = {0};
  const char *why = "nothing was said";
  if (!read_line(STDIN_FILENO, &line) || !json_parse(&job, line.data, line.size, &why)) {
    fprintf(stderr, "What reached the board is no job: %s\n", why);
    return NOT_SAID;
  }
  int busy = busy_for(base);
  if (busy < 0 && errno == EWOULDBLOCK) return refuse("Another run is going on on this board");
  if (busy < 0) return refuse_for(base);
  if (!make_files(&folder)) return refuse_for(path);
  int alive = locked(folder.alive);
  if (alive < 0) return refuse_for(folder.alive);
  pid_t keeper = fork(); /* it inherits the files, and so keeps the locks on them */
  if (keeper < 0) return refuse_for("fork");
  if (!keeper) {
    become_daemon(&folder);
    cores_share(threads_of(job.root));
    keep(job.root, &folder);
    _exit(SAID);
  }
  close(alive);
  close(busy);
  json_free(&job);
  text_free(&line);
  return relay(&folder, 0);
}
