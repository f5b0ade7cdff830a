/* The firmware of mcu_firmware.c on a bare Cortex-M4: Arm's MPS2 board, image AN386.

   Start-up code, an interrupt-free UART driver and a timer of our own, from Arm's
   Cortex-M System Design Kit (DDI 0479): UART0 at 0x40004000, timer 0 at 0x40000000,
   both at 25 MHz. Each inference is timed from a timer that is set anew, so that in an
   emulator that counts instructions it takes the same time whenever it runs. */

#define BARE_METAL
#include "mcu_firmware.c"

#include <errno.h>
#include <sys/stat.h>

#define CLOCK_MHZ 25u
#define REGISTER(address) (*(volatile uint32_t *)(address))
#define UART_DATA REGISTER(0x40004000)
#define UART_STATE REGISTER(0x40004004)
#define UART_CONTROL REGISTER(0x40004008)
#define UART_DIVIDER REGISTER(0x40004010)
#define TIMER_CONTROL REGISTER(0x40000000)
#define TIMER_VALUE REGISTER(0x40000004)
#define TIMER_RELOAD REGISTER(0x40000008)
#define TX_FULL 1u
#define RX_FULL 2u
#define BAUD 115200u

extern uint32_t data_begin, data_end, data_load, bss_begin, bss_end, stack_top;
extern char heap_begin;

static uint64_t past_cycles; /* counted before the timer was last set */

static void set_timer(void)
{
    past_cycles += 0xffffffffu - TIMER_VALUE;
    TIMER_VALUE = 0xffffffffu;
}

static uint32_t now_us(void)
{
    if (TIMER_VALUE < 0x80000000u)
        set_timer(); /* long before it begins again by itself */
    return (uint32_t)((past_cycles + (0xffffffffu - TIMER_VALUE)) / CLOCK_MHZ);
}

static uint32_t run_timed(float *out, int count)
{
    set_timer();
    compute(out, count);
    return (0xffffffffu - TIMER_VALUE) / CLOCK_MHZ;
}

int _write(int file, const char *data, int size)
{
    (void)file;
    for (int i = 0; i < size; i++) {
        while (UART_STATE & TX_FULL)
            ;
        UART_DATA = (uint8_t)data[i];
    }
    return size;
}

void *_sbrk(int more)
{
    static char *end = &heap_begin;
    char *was = end;
    end += more;
    return was;
}

int _close(int file) { (void)file; return -1; }
int _isatty(int file) { (void)file; return 1; }
int _lseek(int file, int at, int how) { (void)file; (void)at; (void)how; return 0; }
int _read(int file, char *data, int size)
{
    (void)file; (void)data; (void)size;
    return 0;
}
int _fstat(int file, struct stat *found)
{
    (void)file;
    found->st_mode = S_IFCHR;
    return 0;
}
int _getpid(void) { return 1; }
int _kill(int process, int signal) { (void)process; (void)signal; errno = EINVAL; return -1; }
void _exit(int code) { (void)code; for (;;) ; }

void reset(void)
{
    for (uint32_t *to = &data_begin, *from = &data_load; to < &data_end;)
        *to++ = *from++;
    for (uint32_t *to = &bss_begin; to < &bss_end;)
        *to++ = 0;
    UART_DIVIDER = CLOCK_MHZ * 1000000u / BAUD;
    UART_CONTROL = 3; /* send and receive */
    TIMER_RELOAD = 0xffffffffu;
    TIMER_VALUE = 0xffffffffu;
    TIMER_CONTROL = 1;
    make_weights(1);
    boot();
    fflush(stdout);
    for (;;) {
        (void)now_us(); /* keeps the count while nobody asks */
        if (UART_STATE & RX_FULL)
            take((int)(UART_DATA & 0xffu));
    }
}

static void fault(void)
{
    for (;;)
        ;
}

__attribute__((section(".vectors"), used)) static void (*const vectors[])(void) = {
    (void (*)(void))&stack_top, reset, fault, fault, fault, fault, fault,
};
