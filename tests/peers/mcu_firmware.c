/* Firmware of a microcontroller on standard input and output, for tests.

   Written from the protocol's grammar (docs/how-to/mcu.md), independently of the
   driver in harness/targets/mcu. It runs a small int8 network: a fully connected layer
   with ReLU, a second one, and softmax, with weights of a linear congruential
   generator. Options misbehave on purpose, one a letter:

     -m NAME   model name            -b N   largest sample, bytes
     -e        energy mode           -w N   start the clock at N us
     -r N      restart in the N-th inference      -h N   hang in the N-th
     -x N      refuse the N-th inference          -l N   lose a lap in the N-th
     -g        noise between lines   -n     bare LF, blanks, a comma too many
     -q        never answer          -s     no banner (the port was opened late)
     -c N      change the outputs in the N-th inference */

#include <ctype.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define COMMAND_MAX 80
#define SAMPLE_MAX 32768
#define HIDDEN 32
#define CLASSES 12

static const char *model = "kws01";
static unsigned sample_most = 490, clock_start;
static int is_energy, is_noisy, is_sloppy, is_mute, is_late;
static int restart_at, hang_at, refuse_at, lose_at, change_at;

static int8_t sample[SAMPLE_MAX];
static unsigned sample_size, sample_got;
static int inferences;
static struct timespec started;

static void say(const char *text)
{
    if (is_noisy)
        fputs("\xff\xfe\x80~ noise ]m-lap-us-\r\n", stdout);
    fputs(is_sloppy ? "  " : "", stdout);
    fputs(text, stdout);
    fputs(is_sloppy ? " \n" : "\r\n", stdout);
}

static uint32_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t ns = (now.tv_sec - started.tv_sec) * 1000000000LL
               + (now.tv_nsec - started.tv_nsec);
    return (uint32_t)(clock_start + ns / 1000); /* wraps at 32 bits, as real ones do */
}

static void lap(void)
{
    char text[32];
    if (is_energy)
        return; /* an edge on a pin */
    snprintf(text, sizeof text, "m-lap-us-%u", now_us());
    say(text);
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

static int8_t clamp(int32_t value)
{
    return value > 127 ? 127 : value < -128 ? -128 : (int8_t)value;
}

static uint32_t seed;
static int8_t weight(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (int8_t)(seed >> 24);
}

static void infer_once(float *out)
{
    int8_t hidden[HIDDEN];
    float most = -1e9f, sum = 0;
    seed = 1;
    for (int h = 0; h < HIDDEN; h++) {
        int32_t total = 0;
        for (unsigned i = 0; i < sample_size; i++)
            total += weight() * sample[i];
        hidden[h] = clamp(total < 0 ? 0 : total >> 10);
    }
    for (int c = 0; c < CLASSES; c++) {
        int32_t total = 0;
        for (int h = 0; h < HIDDEN; h++)
            total += weight() * hidden[h];
        out[c] = (float)total / 4096.0f;
        if (out[c] > most)
            most = out[c];
    }
    for (int c = 0; c < CLASSES; c++)
        sum += out[c] = expf(out[c] - most);
    for (int c = 0; c < CLASSES; c++)
        out[c] /= sum;
}

static void infer(int count, int warm_up)
{
    char text[32];
    float out[CLASSES];
    int number = ++inferences;
    if (number == refuse_at) {
        say("e-[Inference iterations must be >0]");
        return;
    }
    snprintf(text, sizeof text, "m-warmup-start-%d", warm_up);
    say(text);
    while (warm_up-- > 0)
        infer_once(out);
    say("m-warmup-done");
    snprintf(text, sizeof text, "m-infer-start-%d", count);
    say(text);
    lap();
    while (count-- > 0)
        infer_once(out);
    if (number == hang_at)
        for (;;)
            pause();
    if (number == restart_at) {
        restart_at = 0;
        boot();
        return;
    }
    if (number != lose_at)
        lap();
    say("m-infer-done");
    if (number == change_at)
        out[0] += 0.5f;
    printf("m-results-[");
    for (int c = 0; c < CLASSES; c++)
        printf(c ? ",%.3f" : "%.3f", (double)out[c]);
    printf(is_sloppy ? ",]\n" : "]\r\n");
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

static void set_up(int argc, char **argv)
{
    for (int option; (option = getopt(argc, argv, "m:b:w:r:h:x:l:c:egnqs")) != -1;)
        switch (option) {
        case 'm': model = optarg; break;
        case 'b': sample_most = (unsigned)atoi(optarg); break;
        case 'w': clock_start = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'r': restart_at = atoi(optarg); break;
        case 'h': hang_at = atoi(optarg); break;
        case 'x': refuse_at = atoi(optarg); break;
        case 'l': lose_at = atoi(optarg); break;
        case 'c': change_at = atoi(optarg); break;
        case 'e': is_energy = 1; break;
        case 'g': is_noisy = 1; break;
        case 'n': is_sloppy = 1; break;
        case 'q': is_mute = 1; break;
        case 's': is_late = 1; break;
        default: exit(2);
        }
}

int main(int argc, char **argv)
{
    char command[COMMAND_MAX + 1];
    unsigned length = 0;
    int character;
    set_up(argc, argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    clock_gettime(CLOCK_MONOTONIC, &started);
    if (!is_mute)
        boot();
    while ((character = getchar()) != EOF) {
        if (is_mute)
            continue;
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
    return 0;
}
