/* A small int8 network for firmware under test: kernels and weights of our own.

   The sample's bytes are rows of ten. A convolution of 3 by 3 in steps of two makes
   eight channels, then come a depthwise 3 by 3, a pointwise one to sixteen channels,
   the mean over all places, a dense layer and softmax. Sums are int32; each layer ends
   with a shift to the right, ReLU and saturation to int8. Weights come from a linear
   congruential generator, so that whoever knows the seed can work the outputs out. */

#ifndef MCU_NETWORK_H
#define MCU_NETWORK_H

#include <math.h>
#include <stdint.h>

#define WIDTH 10
#define FIRST 8
#define SECOND 16
#define CLASSES 12
#define ROWS_MOST 2800
#define OUT_WIDTH ((WIDTH - 3) / 2 + 1)

static struct {
    int8_t first[FIRST][9], depth[FIRST][9], point[SECOND][FIRST];
    int8_t dense[CLASSES][SECOND];
} weights;

static int8_t map_a[ROWS_MOST / 2][OUT_WIDTH][FIRST];
static int8_t map_b[ROWS_MOST / 2][OUT_WIDTH - 2][FIRST];

static uint32_t lcg;
static int8_t next_weight(void)
{
    lcg = lcg * 1664525u + 1013904223u;
    return (int8_t)(lcg >> 24);
}

static void make_weights(uint32_t seed)
{
    int8_t *all = (int8_t *)&weights;
    lcg = seed;
    for (unsigned i = 0; i < sizeof weights; i++)
        all[i] = next_weight();
}

static int8_t relu(int32_t total, int shift)
{
    total >>= shift;
    return total < 0 ? 0 : total > 127 ? 127 : (int8_t)total;
}

static int convolve(const int8_t *in, int rows)
{
    int out_rows = (rows - 3) / 2 + 1;
    for (int y = 0; y < out_rows; y++)
        for (int x = 0; x < OUT_WIDTH; x++)
            for (int c = 0; c < FIRST; c++) {
                int32_t total = 0;
                for (int k = 0; k < 9; k++)
                    total += weights.first[c][k]
                           * in[(2 * y + k / 3) * WIDTH + 2 * x + k % 3];
                map_a[y][x][c] = relu(total, 9);
            }
    return out_rows;
}

static int convolve_depthwise(int rows)
{
    for (int y = 0; y < rows - 2; y++)
        for (int x = 0; x < OUT_WIDTH - 2; x++)
            for (int c = 0; c < FIRST; c++) {
                int32_t total = 0;
                for (int k = 0; k < 9; k++)
                    total += weights.depth[c][k] * map_a[y + k / 3][x + k % 3][c];
                map_b[y][x][c] = relu(total, 8);
            }
    return rows - 2;
}

static void run_network(const int8_t *in, unsigned size, float *out)
{
    int32_t sums[SECOND] = {0};
    int rows = convolve_depthwise(convolve(in, (int)(size / WIDTH)));
    for (int y = 0; y < rows; y++)
        for (int x = 0; x < OUT_WIDTH - 2; x++)
            for (int c = 0; c < SECOND; c++) {
                int32_t total = 0;
                for (int k = 0; k < FIRST; k++)
                    total += weights.point[c][k] * map_b[y][x][k];
                sums[c] += relu(total, 7);
            }
    float most = -1e9f, whole = 0;
    for (int c = 0; c < CLASSES; c++) {
        int32_t total = 0;
        for (int k = 0; k < SECOND; k++)
            total += weights.dense[c][k] * (sums[k] / (rows * (OUT_WIDTH - 2)));
        out[c] = (float)total / 2048.0f;
        most = out[c] > most ? out[c] : most;
    }
    for (int c = 0; c < CLASSES; c++)
        whole += out[c] = expf(out[c] - most);
    for (int c = 0; c < CLASSES; c++)
        out[c] /= whole;
}

#endif
