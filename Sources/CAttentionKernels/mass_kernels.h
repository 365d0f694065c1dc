/* What the probabilities of a tile add up to: by key, by row, and one by one. Part of tile_kernels.h. */

/* p[key][lane] of a lane vector, zero where masked. */
INLINE vfloat SA_TILE_NAME(probability)(const float *p, int key, int j, const uint8_t *first, const uint8_t *end) {
    vfloat x = load(p + (SA_PAIRS ? key / 2 : key) * SA_LANES + j * WIDTH);
    if (SA_PAIRS) x = key % 2 ? high_bf16(x) : low_bf16(x);
    return first ? choose(lane_mask(j * WIDTH, first[key], end[key]), x, splat(0)) : x;
}

/* The sums of up to WIDTH keys: their lanes are transposed, so that the sums over them run down and not across. */
INLINE vfloat SA_TILE_NAME(column_sums)(
    const void *p, int key, int count, const uint8_t *first, const uint8_t *end, const float *weight) {
    vfloat m[WIDTH];
    UNROLLED for (int i = 0; i < WIDTH; i++) {
        m[i] = splat(0);
        if (i >= count) continue;
        UNROLLED for (int j = 0; j < LANE_VECTORS; j++)
            m[i] = SA_TILE_NAME(probability)(p, key + i, j, first, end) * load(weight + j * WIDTH) + m[i];
    }
    transpose(m);
    vfloat sum = m[0];
    UNROLLED for (int i = 1; i < WIDTH; i++) sum += m[i];
    return sum;
}

static void SA_TILE_NAME(column_mass)(
    const void *p, int keys, const uint8_t *first, const uint8_t *end, const float *weight, float *mass) {
    int key = 0;
    for (; key + WIDTH <= keys; key += WIDTH)
        store(mass + key, load(mass + key) + SA_TILE_NAME(column_sums)(p, key, WIDTH, first, end, weight));
    if (key == keys) return;
    vfloat rest = SA_TILE_NAME(column_sums)(p, key, keys - key, first, end, weight);
    for (int i = 0; key + i < keys; i++) mass[key + i] += rest[i];
}

/* Keys of one group are summed in registers as long as they follow each other. */
static void SA_TILE_NAME(row_mass)(
    const void *p, int keys, const uint8_t *first, const uint8_t *end, const uint8_t *group, const uint8_t *order,
    const float *weight, float *mass) {
    vfloat sum[LANE_VECTORS];
    UNROLLED for (int j = 0; j < LANE_VECTORS; j++) sum[j] = splat(0);
    int open = 0;
    for (int i = 0; i <= keys; i++) {
        int key = i == keys ? -1 : order ? order[i] : i;
        int next = key >= 0 && group ? group[key] : 0;
        if (i == keys || next != open) {
            float *x = mass + open * SA_LANES;
            UNROLLED for (int j = 0; j < LANE_VECTORS; j++) {
                store(x + j * WIDTH, sum[j] * load(weight + j * WIDTH) + load(x + j * WIDTH));
                sum[j] = splat(0);
            }
            if (i == keys) return;
            open = next;
        }
        UNROLLED for (int j = 0; j < LANE_VECTORS; j++) sum[j] += SA_TILE_NAME(probability)(p, key, j, first, end);
    }
}

/* WIDTH keys by WIDTH lanes at a time: weighted, then transposed so that a lane's keys are compressed together. */
static void SA_TILE_NAME(collect)(
    const void *p, int keys, const float *weight, const float *least, float *rows, ptrdiff_t stride, int32_t *count, float *rest) {
    for (int j = 0; j < LANE_VECTORS; j++) {
        int lane = j * WIDTH;
        vfloat factor = load(weight + lane), limit = load(least + lane), others = load(rest + lane);
        for (int key = 0; key < keys; key += WIDTH) {
            vfloat m[WIDTH];
            for (int i = 0; i < WIDTH; i++) {
                m[i] = splat(-1);
                if (key + i >= keys) continue;
                m[i] = SA_TILE_NAME(probability)(p, key + i, j, 0, 0) * factor;
                others += choose(m[i] >= limit, splat(0), m[i]);
            }
            transpose(m);
            for (int i = 0; i < WIDTH; i++)
                count[lane + i] += compress(m[i], splat(least[lane + i]), rows + (lane + i) * stride + count[lane + i]);
        }
        store(rest + lane, others);
    }
}
