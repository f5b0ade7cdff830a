/* Firmware of a microcontroller on standard input and output, for tests.

   Written from the protocol's grammar (docs/how-to/mcu.md), independently of the
   driver in harness/targets/mcu. It runs a small int8 network (mcu_network.h). With
   BARE_METAL it is built into mcu_cortex_m4.c, where a UART takes the place of the
   streams. Options misbehave on purpose, one a letter:

     -m NAME   model name            -b N   largest sample, bytes
     -e        energy mode           -w N   start the clock at N us
     -r N      restart in the N-th inference      -h N   hang in the N-th
     -x N      refuse the N-th inference          -l N   lose a lap in the N-th
     -g        noise between lines   -n     bare LF, blanks, a comma too many
     -q        never answer          -s     no banner (the port was opened late)
     -c N      change the outputs in the N-th inference
     -d N      lose the N-th piece of a sample
     -v N      end in the N-th inference: the port is gone
     -u N      rest for N us in each inference
     -t        print outputs by integers: 1.0 becomes 0.1000
     -B RATE   answer with bytes that are no text while the terminal has another rate
     -p FILE   in energy mode: when the pin fell (F), and computing began and ended
               (B, E), in ns of the monotonic clock, a line each */

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mcu_network.h"

#ifndef BARE_METAL
#include <termios.h>
#include <time.h>
#include <unistd.h>
#endif

#define COMMAND_MAX 80
#define SAMPLE_MAX 28000

static const char *model = "kws01";
static unsigned sample_most = 490, clock_start;
static int is_energy, is_noisy, is_sloppy, is_late, is_torn;
static int restart_at, hang_at, refuse_at, lose_at, change_at, drop_at, vanish_at;

static int8_t sample[SAMPLE_MAX];
static unsigned sample_size, sample_got;
static int inferences, pieces;

static void say(const char *text)
{
    if (is_noisy)
        fputs("\xff\xfe\x80~ noise ]m-lap-us-\r\n", stdout);
    fputs(is_sloppy ? "  " : "", stdout);
    fputs(text, stdout);
    fputs(is_sloppy ? " \n" : "\r\n", stdout);
}

#ifdef BARE_METAL
static uint32_t now_us(void);
static uint32_t run_timed(float *out, int count); /* gives how long it took, in us */
static void mark(char what)
{
    (void)what;
}
static void rest(void) {}
#else
static struct timespec started;
static FILE *pin;
static unsigned rest_us;

static void rest(void)
{
    const struct timespec asked = {rest_us / 1000000, (long)(rest_us % 1000000) * 1000};
    if (rest_us)
        nanosleep(&asked, NULL);
}

static int64_t since_ns(const struct timespec *from)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - from->tv_sec) * 1000000000LL + (now.tv_nsec - from->tv_nsec);
}

static uint32_t now_us(void)
{
    /* wraps at 32 bits, as real ones do */
    return (uint32_t)(clock_start + since_ns(&started) / 1000);
}

static void mark(char what)
{
    static const struct timespec origin;
    if (!pin)
        return;
    fprintf(pin, "%c %lld\n", what, (long long)since_ns(&origin));
    fflush(pin);
}
#endif

static void say_lap(uint32_t us)
{
    char text[32];
    snprintf(text, sizeof text, "m-lap-us-%lu", (unsigned long)us);
    say(text);
}

static void lap(void)
{
    if (is_energy)
        mark('F'); /* an edge on a pin, and no line */
    else
        say_lap(now_us());
}

static void boot(void)
{
    sample_size = sample_got = 0;
    if (is_late)
        return;
    say(is_energy ? "m-timestamp-mode-energy" : "m-timestamp-mode-performance");
    lap();
    say("m-init-done");
    say("m-ready");
}

static void compute(float *out, int count)
{
    if (!count)
        return;
    mark('B');
    while (count-- > 0) {
        run_network(sample, sample_size, out);
        rest();
    }
    mark('E');
}

static void say_results(const float *out)
{
    printf("m-results-[");
    for (int c = 0; c < CLASSES; c++) {
        if (c)
            printf(",");
        if (is_torn) /* thousandths in at least three digits: of one there are four */
            printf("0.%03d", (int)(out[c] * 1000.0f));
        else
            printf("%.3f", (double)out[c]);
    }
    printf(is_sloppy ? ",]\n" : "]\r\n");
}

#ifndef BARE_METAL
/* Has the inference end otherwise than it should; says whether that is all of it. */
static int befallen(int number)
{
    if (number == hang_at)
        for (;;)
            pause();
    if (number == vanish_at)
        exit(0);
    if (number != restart_at)
        return 0;
    restart_at = 0;
    boot();
    return 1;
}
#endif

static void infer(int count, int warm_up)
{
    char text[32];
    float out[CLASSES] = {0};
    int number = ++inferences;
    if (number == refuse_at) {
        say("e-[Inference iterations must be >0]");
        return;
    }
    snprintf(text, sizeof text, "m-warmup-start-%d", warm_up);
    say(text);
    compute(out, warm_up);
    say("m-warmup-done");
    snprintf(text, sizeof text, "m-infer-start-%d", count);
    say(text);
#ifdef BARE_METAL
    uint32_t begun = now_us(), took = run_timed(out, count);
    say_lap(begun);
    say_lap(begun + took);
#else
    lap();
    compute(out, count);
    if (befallen(number))
        return;
    if (number != lose_at)
        lap();
#endif
    say("m-infer-done");
    if (number == change_at)
        out[0] += 0.5f;
    say_results(out);
}

static void db_load(const char *number)
{
    char text[64];
    unsigned size = number ? (unsigned)atoi(number) : 0;
    if (!number)
        say("e-[Command 'db load' requires the # of bytes]");
    else if (!size)
        say("e-[Command 'db load' must be >0 bytes]");
    else if (size > sample_most) /* no e-, and a bare LF */
        printf("Supplied buffer size %u exceeds maximum of %u\n", size, sample_most);
    else {
        sample_size = size;
        sample_got = 0;
        snprintf(text, sizeof text, "m-[Expecting %u bytes]", size);
        say(text);
    }
}

static void db_bytes(const char *hex)
{
    if (strlen(hex) % 2) {
        say("e-[Insufficent number of hex digits]");
        return;
    }
    if (++pieces == drop_at)
        return;
    for (; hex[0] && sample_got < sample_size; hex += 2) {
        char pair[3] = {hex[0], hex[1], 0};
        if (!isxdigit((unsigned char)pair[0]) || !isxdigit((unsigned char)pair[1])) {
            say("e-[Invalid hex digit]");
            return;
        }
        sample[sample_got++] = (int8_t)strtol(pair, NULL, 16);
        if (sample_got == sample_size)
            say("m-load-done");
    }
}

static void carry_out(char *command)
{
    char text[128];
    char *word = strtok(command, " ");
    if (!word)
        abort(); /* the reference dies of an empty command as well */
    if (!strcmp(word, "name"))
        say("m-name-dut-[duanping test board]");
    else if (!strcmp(word, "profile")) {
        say("m-profile-[ULPMark for tinyML Firmware V0.0.1]");
        snprintf(text, sizeof text, "m-model-[%s]", model);
        say(text);
    } else if (!strcmp(word, "timestamp"))
        lap();
    else if (!strcmp(word, "db")) {
        char *sub = strtok(NULL, " ");
        if (!sub)
            say("e-[Command 'db' requires a subcommand]");
        else if (!strcmp(sub, "load"))
            db_load(strtok(NULL, " "));
        else
            db_bytes(sub);
    } else if (!strcmp(word, "infer")) {
        char *count = strtok(NULL, " "), *warm_up = strtok(NULL, " ");
        infer(count ? atoi(count) : 1, warm_up ? atoi(warm_up) : 10);
    } else {
        snprintf(text, sizeof text, "e-[Unknown command: %s]", word);
        say(text);
    }
    say("m-ready");
}

/* Takes a character of a command; a whole one is carried out. */
static void take(int character)
{
    static char command[COMMAND_MAX + 1];
    static unsigned length;
    if (character == '%') {
        command[length] = 0;
        length = 0;
        carry_out(command);
        fflush(stdout);
    } else if (length < COMMAND_MAX)
        command[length++] = (char)character;
    else
        command[length - 1] = (char)character; /* the last one is overwritten */
}

#ifndef BARE_METAL
static int is_mute, rate;

static void set_up(int argc, char **argv)
{
    const char *letters = "m:b:w:r:h:x:l:c:d:v:u:B:p:egnqst";
    for (int option; (option = getopt(argc, argv, letters)) != -1;)
        switch (option) {
        case 'm': model = optarg; break;
        case 'b': sample_most = (unsigned)atoi(optarg); break;
        case 'w': clock_start = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'r': restart_at = atoi(optarg); break;
        case 'h': hang_at = atoi(optarg); break;
        case 'x': refuse_at = atoi(optarg); break;
        case 'l': lose_at = atoi(optarg); break;
        case 'c': change_at = atoi(optarg); break;
        case 'd': drop_at = atoi(optarg); break;
        case 'v': vanish_at = atoi(optarg); break;
        case 'u': rest_us = (unsigned)atoi(optarg); break;
        case 'B': rate = atoi(optarg); break;
        case 'p': pin = fopen(optarg, "a"); break;
        case 'e': is_energy = 1; break;
        case 'g': is_noisy = 1; break;
        case 'n': is_sloppy = 1; break;
        case 'q': is_mute = 1; break;
        case 's': is_late = 1; break;
        case 't': is_torn = 1; break;
        default: exit(2);
        }
}

/* Says whether the terminal was set to another rate than the firmware's. */
static int is_off_rate(void)
{
    struct termios now;
    if (!rate || tcgetattr(STDIN_FILENO, &now))
        return 0;
    return cfgetospeed(&now)
        != (rate == 9600 ? B9600 : rate == 921600 ? B921600 : B115200);
}

int main(int argc, char **argv)
{
    int character;
    set_up(argc, argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    clock_gettime(CLOCK_MONOTONIC, &started);
    make_weights(1);
    if (!is_mute)
        boot();
    while ((character = getchar()) != EOF) {
        if (is_off_rate()) {
            fputs("\xf8\x86\x00\xfe", stdout);
            fflush(stdout);
        } else if (!is_mute)
            take(character);
    }
    return 0;
}
#endif
